//! Checks of bodies and query parameters that collect every problem of a request into the 422 list
//! of contract/http-api.md 4.3.

use serde_json::{Map, Value, json};

use super::error::ApiError;

/// A body's fields, and what is wrong with them so far.
pub struct Fields {
    object: Map<String, Value>,
    problems: Vec<Value>,
}

impl Fields {
    /// Takes a body that must be an object.
    ///
    /// # Errors
    /// 422 when it is anything else.
    pub fn of(body: Value) -> Result<Self, ApiError> {
        match body {
            Value::Object(object) => Ok(Self {
                object,
                problems: Vec::new(),
            }),
            other => Err(not_an_object(other)),
        }
    }

    /// Returns a required string.
    pub fn required_text(&mut self, name: &str) -> String {
        match self.object.get(name) {
            Some(Value::String(text)) => return text.clone(),
            Some(other) => self.problems.push(wrong_text(name, other)),
            None => self.problems.push(json!({
                "type": "missing",
                "loc": ["body", name],
                "msg": "Field required",
                "input": self.object,
            })),
        }
        String::new()
    }

    /// Returns an optional string; `null` counts as absent.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.object.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => {
                self.problems.push(wrong_text(name, other));
                None
            }
        }
    }

    /// Returns a list whose members are names of a closed set, or `default` when absent.
    pub fn names<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], default: &[T]) -> Vec<T> {
        let list = match self.object.get(name) {
            None => return default.to_vec(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.problems.push(json!({
                    "type": "list_type",
                    "loc": ["body", name],
                    "msg": "Input should be a valid list",
                    "input": other,
                }));
                return Vec::new();
            }
        };
        let mut members = Vec::with_capacity(list.len());
        for (index, member) in list.iter().enumerate() {
            let chosen = member
                .as_str()
                .and_then(|text| choices.iter().find(|(choice, _)| *choice == text));
            match chosen {
                Some((_, value)) => members.push(*value),
                None => self
                    .problems
                    .push(wrong_choice(name, index, member, choices)),
            }
        }
        if list.is_empty() {
            self.problems.push(json!({
                "type": "too_short",
                "loc": ["body", name],
                "msg": "List should have at least 1 item after validation, not 0",
                "input": [],
                "ctx": {"field_type": "List", "min_length": 1, "actual_length": 0},
            }));
        }
        members
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
}

/// Says that a body is no object.
#[must_use]
pub fn not_an_object(input: Value) -> ApiError {
    ApiError::Invalid(vec![json!({
        "type": "model_attributes_type",
        "loc": ["body"],
        "msg": "Input should be a valid dictionary or object to extract fields from",
        "input": input,
    })])
}

/// Says that there is no body.
#[must_use]
pub fn missing_body() -> ApiError {
    ApiError::Invalid(vec![json!({
        "type": "missing", "loc": ["body"], "msg": "Field required", "input": null,
    })])
}

fn wrong_text(name: &str, input: &Value) -> Value {
    json!({
        "type": "string_type",
        "loc": ["body", name],
        "msg": "Input should be a valid string",
        "input": input,
    })
}

fn wrong_choice<T>(name: &str, index: usize, input: &Value, choices: &[(&str, T)]) -> Value {
    let expected = spoken_list(
        &choices
            .iter()
            .map(|(choice, _)| *choice)
            .collect::<Vec<_>>(),
    );
    json!({
        "type": "enum",
        "loc": ["body", name, index],
        "msg": format!("Input should be {expected}"),
        "input": input,
        "ctx": {"expected": expected},
    })
}

/// `'a', 'b' or 'c'`.
fn spoken_list(choices: &[&str]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("'{choice}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
