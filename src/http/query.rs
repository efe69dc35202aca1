//! Query parameters, read as the reference reads them (contract/http-api.md 5).

use actix_web::HttpRequest;
use actix_web::web::Query;
use serde_json::{Value, json};

use super::error::ApiError;

/// The parameters of one request, and what is wrong with them so far.
pub struct Params {
    pairs: Vec<(String, String)>,
    problems: Vec<Value>,
}

impl Params {
    /// Reads a request's query; unreadable escapes are replaced, never an error.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_or_else(|_| Vec::new(), Query::into_inner);
        Self {
            pairs,
            problems: Vec::new(),
        }
    }

    /// Returns a parameter; the last one wins, an empty one counts as absent.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// Returns a parameter that must be there, empty or not.
    pub fn required(&mut self, name: &str) -> String {
        match self.raw(name) {
            Some(value) => value.to_owned(),
            None => {
                self.problems.push(json!({
                    "type": "missing", "loc": ["query", name], "msg": "Field required", "input": null,
                }));
                String::new()
            }
        }
    }

    /// Returns a whole number from `least` to `most`.
    pub fn number(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        let text = self.raw(name)?.to_owned();
        match parse_integer(&text) {
            None => self.problem(
                name,
                &text,
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
                None,
            ),
            Some(number) if number < i64::from(least) => self.problem(
                name,
                &text,
                "greater_than_equal",
                &format!("Input should be greater than or equal to {least}"),
                Some(json!({"ge": least})),
            ),
            Some(number) if number > i64::from(most) => self.problem(
                name,
                &text,
                "less_than_equal",
                &format!("Input should be less than or equal to {most}"),
                Some(json!({"le": most})),
            ),
            Some(number) => return u32::try_from(number).ok(),
        }
        None
    }

    /// Returns a parameter that must parse; `expected` tells the client how.
    pub fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Option<T> {
        let text = self.text(name)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.problem(
                name,
                &text,
                "value_error",
                &format!("Value error, {expected}"),
                Some(json!({"error": {}})),
            );
        }
        parsed
    }

    /// Ends the check.
    ///
    /// # Errors
    /// 422 with every problem found.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Invalid(self.problems))
        }
    }

    fn raw(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn problem(
        &mut self,
        name: &str,
        input: &str,
        kind: &str,
        message: &str,
        context: Option<Value>,
    ) {
        let mut item =
            json!({"type": kind, "loc": ["query", name], "msg": message, "input": input});
        if let (Some(context), Some(item)) = (context, item.as_object_mut()) {
            item.insert("ctx".to_owned(), context);
        }
        self.problems.push(item);
    }
}

/// Optional spaces and sign, digits with single `_` between them, a fraction of zeros only. Numbers
/// beyond 64 bits count as the largest.
fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let whole = match digits.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => digits,
    };
    let groups: Vec<_> = whole.split('_').collect();
    if groups
        .iter()
        .any(|group| group.is_empty() || !group.bytes().all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    let magnitude = groups.concat().parse::<i64>().unwrap_or(i64::MAX);
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_parse_as_the_contract_says() {
        for (text, number) in [
            ("5", Some(5)),
            (" 5 ", Some(5)),
            ("+5", Some(5)),
            ("-5", Some(-5)),
            ("005", Some(5)),
            ("1_000", Some(1000)),
            ("1.0", Some(1)),
            ("99999999999999999999", Some(i64::MAX)),
            ("1.", None),
            (".5", None),
            ("1e2", None),
            ("0x5", None),
            ("", None),
            ("1__0", None),
            ("_1", None),
            ("1.5", None),
            ("abc", None),
            ("-", None),
        ] {
            assert_eq!(parse_integer(text), number, "{text:?}");
        }
    }
}
