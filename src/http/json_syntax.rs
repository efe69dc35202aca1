//! Says what is wrong with a text that is not JSON, and at which character, in the words of the
//! reference's parser (contract/http-api.md 4.3). Runs only on texts that serde has refused.

/// A place in a broken text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: &'static str,
    /// Number of characters before the place.
    pub offset: usize,
}

/// Most nested arrays and objects followed; serde refuses deeper ones as well.
const MAX_DEPTH: usize = 127;

/// Finds the first error. `None` when the text is nested too deep to tell, or when the reference
/// would have accepted it.
#[must_use]
pub fn find(text: &str) -> Option<SyntaxError> {
    let mut cursor = Cursor {
        text: text.chars().collect(),
        at: 0,
        too_deep: false,
    };
    cursor.space();
    let result = cursor.value(0).and_then(|()| {
        cursor.space();
        if cursor.at < cursor.text.len() {
            Err(cursor.error("Extra data"))
        } else {
            Ok(())
        }
    });
    if cursor.too_deep { None } else { result.err() }
}

struct Cursor {
    text: Vec<char>,
    at: usize,
    too_deep: bool,
}

impl Cursor {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn error(&self, message: &'static str) -> SyntaxError {
        SyntaxError {
            message,
            offset: self.at,
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), SyntaxError> {
        if depth > MAX_DEPTH {
            self.too_deep = true;
            return Err(self.error("Expecting value"));
        }
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => self.string(),
            Some('-' | '0'..='9') => self.number(),
            _ => ["true", "false", "null", "NaN", "Infinity"]
                .iter()
                .find_map(|word| self.word(word))
                .ok_or_else(|| self.error("Expecting value")),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let length = word.chars().count();
        (rest.len() >= length && rest.iter().zip(word.chars()).all(|(a, b)| *a == b)).then(|| {
            self.at += length;
        })
    }

    fn object(&mut self, depth: usize) -> Result<(), SyntaxError> {
        const NAME: &str = "Expecting property name enclosed in double quotes";
        self.at += 1;
        self.space();
        if self.peek() == Some('}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some('"') {
                return Err(self.error(NAME));
            }
            self.string()?;
            self.space();
            if self.peek() != Some(':') {
                return Err(self.error("Expecting ':' delimiter"));
            }
            self.at += 1;
            self.space();
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some('}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(',') => self.at += 1,
                _ => return Err(self.error("Expecting ',' delimiter")),
            }
            self.space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), SyntaxError> {
        self.at += 1;
        self.space();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(',') => self.at += 1,
                _ => return Err(self.error("Expecting ',' delimiter")),
            }
            self.space();
        }
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    let message = "Unterminated string starting at";
                    return Err(SyntaxError {
                        message,
                        offset: start,
                    });
                }
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => self.escape(start)?,
                Some(character) if character < ' ' => {
                    return Err(self.error("Invalid control character at"));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<(), SyntaxError> {
        match self.text.get(self.at + 1) {
            None => Err(SyntaxError {
                message: "Unterminated string starting at",
                offset: start,
            }),
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.at += 2;
                Ok(())
            }
            Some('u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if digits.is_some_and(|digits| digits.iter().all(char::is_ascii_hexdigit)) {
                    self.at += 6;
                    Ok(())
                } else {
                    let message = "Invalid \\uXXXX escape";
                    Err(SyntaxError {
                        message,
                        offset: self.at + 1,
                    })
                }
            }
            Some(_) => Err(self.error("Invalid \\escape")),
        }
    }

    /// Like the reference, stops where the number stops; what follows is somebody else's problem.
    fn number(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        if self.peek() == Some('-') {
            self.at += 1;
        }
        match self.peek() {
            Some('0') => self.at += 1,
            Some('1'..='9') => self.digits(),
            _ if self.word("Infinity").is_some() => return Ok(()),
            _ => {
                self.at = start;
                return Err(self.error("Expecting value"));
            }
        }
        if self.peek() == Some('.') && self.text.get(self.at + 1).is_some_and(char::is_ascii_digit)
        {
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let signed = usize::from(matches!(self.text.get(self.at + 1), Some('+' | '-')));
            if self
                .text
                .get(self.at + 1 + signed)
                .is_some_and(char::is_ascii_digit)
            {
                self.at += 1 + signed;
                self.digits();
            }
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_have_the_references_words_and_places() {
        let table = [
            (r#"{"target_path":"#, "Expecting value", 15),
            (r#"{"target_path": "#, "Expecting value", 16),
            ("hello", "Expecting value", 0),
            (
                r#"{"a":1,}"#,
                "Expecting property name enclosed in double quotes",
                7,
            ),
            (r#"{"a":"x"#, "Unterminated string starting at", 5),
            (r#"{"a":1} x"#, "Extra data", 8),
            (r#"{"a" 1}"#, "Expecting ':' delimiter", 5),
            (r"[1 2]", "Expecting ',' delimiter", 3),
            ("{\"a\":\"x\ny\"}", "Invalid control character at", 7),
            (r#"{"é":"\q"}"#, "Invalid \\escape", 6),
            (r#"["\u12"]"#, "Invalid \\uXXXX escape", 3),
            ("", "Expecting value", 0),
            ("-", "Expecting value", 0),
            ("01", "Extra data", 1),
        ];
        for (text, message, offset) in table {
            assert_eq!(find(text), Some(SyntaxError { message, offset }), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_no_syntax_error() {
        assert_eq!(find(&"[".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn every_text_that_serde_refuses_is_refused_or_too_deep(text in r#"[\[\]{}:,"a1 \\.-]{0,30}"#) {
            let refused = serde_json::from_str::<serde_json::Value>(&text).is_err();
            prop_assert_eq!(refused, find(&text).is_some(), "{}", text);
        }
    }
}
