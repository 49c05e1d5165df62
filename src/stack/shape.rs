//! Compares values with a JSON Schema and says in plain words what does not fit. Knows no files.

use jsonschema::{
    JsonType, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind as Reason},
};
use serde_json::{Map, Value, json};

use super::{
    mistake::Code,
    near::{list, nearest, quote, suggest},
    schema::{field, target},
    tree::{dotted, join},
    units,
};
use crate::address::{Need, OutputRef};

/// The schema of something, ready for use.
pub(super) struct Shape {
    root: Value,
    validator: Result<Validator, String>,
}

/// Something that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Where, as a JSON pointer.
    pub at: String,
    /// The key of the value at [`Finding::at`] that is meant, rather than the value itself.
    pub key: Option<String>,
    /// The sort of mistake.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The same in a few words, to stand under the place.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

impl Shape {
    /// Prepares a schema that is complete in itself.
    pub(super) fn new(root: Value) -> Self {
        let validator = jsonschema::draft202012::new(&root).map_err(|err| err.to_string());
        Self { root, validator }
    }

    /// Returns the description of a field: its own, or that of its type.
    pub(super) fn about(&self, pointer: &str) -> Option<&str> {
        let schema = field(&self.root, pointer)?;
        let described = |it: &'_ Value| it.get("description").is_some();
        let schema = if described(schema) { schema } else { self.resolve(schema) };
        schema.get("description")?.as_str()
    }

    /// Lists the fields of the object at a pointer.
    pub(super) fn fields(&self, pointer: &str) -> Vec<&str> {
        let schema = field(&self.root, pointer).map(|it| self.resolve(it));
        let fields = schema.and_then(|it| it.get("properties")?.as_object());
        fields.into_iter().flat_map(Map::keys).map(String::as_str).collect()
    }

    /// Lists what does not fit. `subject` names the whole, such as `topic.orders`.
    pub(super) fn findings(&self, subject: &str, value: &Value) -> Vec<Finding> {
        let validator = match &self.validator {
            Ok(it) => it,
            Err(err) => {
                let message = format!("the schema of {subject} is itself wrong: {err}");
                return vec![finding("", Code::InvalidValue, message, "cannot be checked", None)];
            }
        };
        let words = Words { shape: self, subject };
        let mut findings: Vec<Finding> = validator.iter_errors(value).flat_map(|it| words.say(&it)).collect();
        // A misspelled field is not missing as well.
        let misspelled: Vec<(String, String)> = findings
            .iter()
            .filter(|it| it.code == Code::UnknownField)
            .filter_map(|it| Some((it.at.clone(), it.key.clone()?)))
            .collect();
        findings.retain(|it| {
            let key = it.key.as_deref().filter(|_| it.code == Code::MissingField);
            !key.is_some_and(|key| misspelled.iter().any(|(at, word)| *at == it.at && nearest(word, [key]).is_some()))
        });
        findings
    }

    /// Finds the references within a value by the schema alone: for values that do not fit otherwise.
    pub(super) fn references(&self, value: &Value) -> Vec<Need> {
        let mut found = Vec::new();
        self.search(&self.root, value, "", &mut found);
        found
    }

    fn search(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<Need>) {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"));
        if let (Some(name), Value::String(text)) = (name, value) {
            let mention = name.starts_with("Mention_");
            let (to, output) = match name.strip_prefix("Ref_").or_else(|| name.strip_prefix("Mention_")) {
                Some(kind) => (format!("{kind}.{text}").parse().ok(), None),
                None if name == "Address" => (text.parse().ok(), None),
                None if name == "Output" => {
                    text.parse::<OutputRef>().map_or((None, None), |it| (Some(it.of), Some(it.output)))
                }
                None => (None, None),
            };
            found.extend(to.map(|to| Need { to, weak: mention, mention, output, at: at.to_owned() }));
        }
        let schema = self.resolve(schema);
        for key in ["anyOf", "oneOf"] {
            let branches = schema.get(key).and_then(Value::as_array);
            branches.into_iter().flatten().for_each(|it| self.search(it, value, at, found));
        }
        let named = |key: &str| schema.get("properties").and_then(|it| it.get(key));
        let within = |key: &str| named(key).or_else(|| schema.get("additionalProperties"));
        if let Value::Object(map) = value {
            for (key, it) in map {
                let schema = within(key).unwrap_or(&Value::Null);
                self.search(schema, it, &join(at, key), found);
            }
        }
        if let (Value::Array(items), Some(schema)) = (value, schema.get("items")) {
            items.iter().enumerate().for_each(|(i, it)| self.search(schema, it, &format!("{at}/{i}"), found));
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        self.root.get("$defs").and_then(Value::as_object).map_or(schema, |it| target(it, schema))
    }
}

/// Puts the validator's errors into words.
struct Words<'a> {
    shape: &'a Shape,
    subject: &'a str,
}

impl Words<'_> {
    fn say(&self, error: &ValidationError<'_>) -> Vec<Finding> {
        let at = error.instance_path().as_str();
        let value = error.instance().as_ref();
        let this = self.name(at);
        let invalid = |message: String, label: String| {
            vec![finding(at, Code::InvalidValue, format!("{this} {message}"), label, self.hint(at))]
        };
        match error.kind() {
            Reason::AdditionalProperties { unexpected } => unexpected.iter().map(|it| self.unknown(at, it)).collect(),
            Reason::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let help = self.shape.about(&join(at, key)).map(|it| format!("`{key}`: {}", sentence(it)));
                let mut it = finding(
                    at,
                    Code::MissingField,
                    format!("{this} lacks `{key}`"),
                    format!("`{key}` is missing"),
                    help,
                );
                it.key = Some(key.to_owned());
                vec![it]
            }
            Reason::Type { kind } => vec![self.wrong_type(error, at, value, kind)],
            Reason::Pattern { pattern } => {
                let expected = self.expected(error);
                let expected = expected.unwrap_or_else(|| format!("of the form `{pattern}`"));
                let written = quote(value.as_str().unwrap_or_default());
                let help = self.candidates(error, value).map(|it| format!("did you mean `{it}`?"));
                let message = format!("{written} is not {expected}");
                vec![finding(at, Code::InvalidValue, message, this, help.or_else(|| self.hint(at)))]
            }
            Reason::Enum { options } => vec![self.choice(at, value, options.as_array().map_or(&[], Vec::as_slice))],
            Reason::Constant { expected_value } => vec![self.choice(at, value, &[expected_value.as_ref().clone()])],
            Reason::AnyOf { context } | Reason::OneOfNotValid { context } => self.branches(at, value, context),
            Reason::Minimum { limit } => {
                invalid(format!("must be at least {limit}, not {value}"), format!("less than {limit}"))
            }
            Reason::Maximum { limit } => {
                invalid(format!("must be at most {limit}, not {value}"), format!("more than {limit}"))
            }
            Reason::ExclusiveMinimum { limit } => {
                invalid(format!("must be more than {limit}, not {value}"), format!("not more than {limit}"))
            }
            Reason::ExclusiveMaximum { limit } => {
                invalid(format!("must be less than {limit}, not {value}"), format!("not less than {limit}"))
            }
            Reason::MinLength { limit: 1 } | Reason::MinItems { limit: 1 } | Reason::MinProperties { limit: 1 } => {
                invalid("must not be empty".into(), "empty".into())
            }
            Reason::MinLength { limit } => {
                invalid(format!("must have at least {limit} characters"), "too short".into())
            }
            Reason::MaxLength { limit } => invalid(format!("must have at most {limit} characters"), "too long".into()),
            Reason::MinItems { limit } => invalid(format!("must list at least {limit}"), "too few".into()),
            Reason::MaxItems { limit } => invalid(format!("must list at most {limit}"), "too many".into()),
            Reason::UniqueItems => invalid("lists something twice".into(), "not all different".into()),
            Reason::PropertyNames { error } => {
                let key = error.instance().as_str().unwrap_or_default();
                let expected = self.expected(error).unwrap_or_else(|| "a key that can be used here".into());
                let message = format!("{} in {this} is not {expected}", quote(key));
                let mut it = finding(at, Code::InvalidValue, message, "this key", None);
                it.key = Some(key.to_owned());
                vec![it]
            }
            _ => invalid(format!("does not fit: {}", error.masked()), "does not fit".into()),
        }
    }

    fn unknown(&self, at: &str, key: &str) -> Finding {
        let fields = self.shape.fields(at);
        let what =
            if at.is_empty() { format!("fields of {}", self.subject) } else { format!("fields of `{}`", dotted(at)) };
        let message = format!("{} has no field {}", self.name(at), quote(key));
        let help = Some(suggest(key, fields, &what));
        Finding { key: Some(key.to_owned()), ..finding(at, Code::UnknownField, message, "no such field", help) }
    }

    fn wrong_type(&self, error: &ValidationError<'_>, at: &str, value: &Value, kind: &TypeKind) -> Finding {
        let types: Vec<JsonType> = match kind {
            TypeKind::Single(it) => vec![*it],
            TypeKind::Multiple(it) => it.iter().filter(|it| *it != JsonType::Null).collect(),
        };
        let meant = types.iter().map(|it| type_name(*it)).collect::<Vec<_>>().join(" or ");
        let expected = if types.contains(&JsonType::String) { self.expected(error).unwrap_or(meant) } else { meant };
        let help = match value {
            Value::Number(it) if types.contains(&JsonType::String) => {
                let quoted = format!("\"{it}\"");
                self.fits(error, &it.to_string().into()).then(|| format!("put it in quotes: {quoted}"))
            }
            Value::Bool(it) if types.contains(&JsonType::String) => Some(format!("put it in quotes: \"{it}\"")),
            Value::String(it) if types.contains(&JsonType::Boolean) => match it.as_str() {
                "yes" | "on" | "y" | "true" => Some("write `true`".to_owned()),
                "no" | "off" | "n" | "false" => Some("write `false`".to_owned()),
                _ => None,
            },
            Value::String(it)
                if it.parse::<f64>().is_ok()
                    && types.iter().any(|it| *it == JsonType::Integer || *it == JsonType::Number) =>
            {
                Some(format!("leave out the quotes: {it}"))
            }
            Value::String(_) | Value::Number(_) if types.contains(&JsonType::Array) => Some(format!(
                "write a list, also of one: [{}]",
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            )),
            _ => None,
        };
        let message = format!("{} must be {expected}, not {}", self.name(at), found(value));
        finding(at, Code::WrongType, message, format!("expected {expected}"), help.or_else(|| self.hint(at)))
    }

    /// A value that is none of those allowed.
    fn choice(&self, at: &str, value: &Value, options: &[Value]) -> Finding {
        let plain = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        let options: Vec<String> = options.iter().filter(|it| !it.is_null()).map(plain).collect();
        let written = plain(value);
        let names: Vec<&str> = options.iter().map(String::as_str).collect();
        let help = match names.as_slice() {
            [only] => format!("it can only be `{only}`"),
            names => format!("{}it is one of {}", near_prefix(&written, names), list(names)),
        };
        let message = format!("{} cannot be {}", self.name(at), quote(&written));
        finding(at, Code::InvalidValue, message, "not one of those allowed", Some(help))
    }

    /// A value that fits none of several schemas: says why it does not fit the one that was most likely meant.
    fn branches(&self, at: &str, value: &Value, context: &[Vec<ValidationError<'static>>]) -> Vec<Finding> {
        let null = |it: &&Vec<ValidationError<'_>>| {
            let only =
                |it: &ValidationError<'_>| matches!(it.kind(), Reason::Type { kind: TypeKind::Single(JsonType::Null) });
            !it.first().is_some_and(only)
        };
        let mut options = Vec::new();
        let mut rest: Vec<&Vec<ValidationError<'static>>> = Vec::new();
        for branch in context.iter().filter(null) {
            // The variants of a plain enum are a schema each when they are documented.
            match branch.first().filter(|it| it.instance_path().as_str() == at).map(ValidationError::kind) {
                Some(Reason::Constant { expected_value }) => options.push(expected_value.as_ref().clone()),
                Some(Reason::Enum { options: some }) => options.extend(some.as_array().cloned().unwrap_or_default()),
                _ => rest.push(branch),
            }
        }
        if !options.is_empty() && (value.is_string() || rest.is_empty()) {
            return vec![self.choice(at, value, &options)];
        }
        // Something that may be left out, and was not.
        if let [only] = rest.as_slice() {
            return only.iter().flat_map(|it| self.say(it)).collect();
        }
        let variants: Vec<&str> = rest.iter().filter_map(|it| variant(it, at)).collect();
        if let Some(map) = value.as_object().filter(|_| variants.len() == rest.len() && !variants.is_empty()) {
            let key = map.keys().next();
            let near = key.map(|it| near_prefix(it, &variants)).unwrap_or_default();
            let help = Some(format!("{near}it is one of {}", list(&variants)));
            let this = self.name(at);
            let it = match key {
                None => finding(at, Code::InvalidValue, format!("{this} must not be empty"), "empty", help),
                Some(key) => {
                    let message = format!("{this} cannot be {}", quote(key));
                    let it = finding(at, Code::UnknownField, message, "not one of those allowed", help);
                    Finding { key: Some(key.clone()), ..it }
                }
            };
            return vec![it];
        }
        // Each key is one of several, and there may be one: what a file below says stays unless it is taken away.
        let takes = |key: &&String| {
            let refuses_others = |it: &ValidationError<'_>| match it.kind() {
                Reason::AdditionalProperties { unexpected } => {
                    it.instance_path().as_str() == at && !unexpected.contains(*key)
                }
                _ => false,
            };
            rest.iter().any(|branch| branch.iter().any(refuses_others))
        };
        let taken: Vec<&str> =
            value.as_object().into_iter().flat_map(|it| it.keys().filter(takes)).map(String::as_str).collect();
        if let [first, .., last] = taken[..] {
            let message = format!("{} is {}, and can be only one of them", self.name(at), list(&taken));
            let help = format!("take the other away: `{first}: null`");
            let it = finding(at, Code::InvalidValue, message, "one too many", Some(help));
            return vec![Finding { key: Some(last.to_owned()), ..it }];
        }
        // Whoever wrote `{sql: {…}}` meant the variant `sql`: its errors lie within.
        let depth = |it: &ValidationError<'_>| it.instance_path().as_str().len();
        let shallow = |it: &&Vec<ValidationError<'_>>| it.iter().filter(|it| depth(it) <= at.len()).count();
        match rest.into_iter().min_by_key(|it| (shallow(it), it.len())) {
            Some(it) => it.iter().flat_map(|it| self.say(it)).collect(),
            None => vec![finding(
                at,
                Code::InvalidValue,
                format!("{} does not fit", self.name(at)),
                "does not fit",
                self.hint(at),
            )],
        }
    }

    /// Says what a text of a type of its own must be, such as a duration: the description of the type.
    fn expected(&self, error: &ValidationError<'_>) -> Option<String> {
        let (_, schema) = self.definition(error)?;
        let about = schema.get("description")?.as_str()?;
        let about = about.lines().next()?.trim_end_matches('.');
        let mut letters = about.chars();
        let first = letters.next()?.to_lowercase();
        Some(first.chain(letters).collect())
    }

    /// Finds the named type whose keyword an error is about.
    fn definition<'a>(&'a self, error: &ValidationError<'_>) -> Option<(&'a str, &'a Value)> {
        let path = error.schema_path().as_str();
        let (name, keyword) = path.strip_prefix("/$defs/")?.split_once('/')?;
        let (name, schema) = self.shape.root.get("$defs")?.as_object()?.get_key_value(name)?;
        (!keyword.contains('/')).then_some((name.as_str(), schema))
    }

    /// Says whether another value would fit what an error is about.
    fn fits(&self, error: &ValidationError<'_>, value: &Value) -> bool {
        let Some((name, _)) = self.definition(error) else { return true };
        let schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": self.shape.root["$defs"] });
        jsonschema::draft202012::new(&schema).is_ok_and(|it| it.is_valid(value))
    }

    /// Guesses the quantity that was meant by `7 days` or `256MB`.
    fn candidates(&self, error: &ValidationError<'_>, value: &Value) -> Option<String> {
        self.definition(error)?;
        units::meant(value.as_str()?).into_iter().find(|it| self.fits(error, &it.as_str().into()))
    }

    /// Names a field: `memory` of function.ingest.
    fn name(&self, at: &str) -> String {
        if at.is_empty() { self.subject.to_owned() } else { format!("`{}` of {}", dotted(at), self.subject) }
    }

    fn hint(&self, at: &str) -> Option<String> {
        let field = field(&self.shape.root, at).filter(|_| !at.is_empty())?;
        let about = field.get("description")?.as_str()?;
        Some(format!("`{}`: {}", dotted(at), sentence(about)))
    }
}

/// Returns the first paragraph of a description, in one line.
pub(super) fn sentence(about: &str) -> String {
    about.split("\n\n").next().unwrap_or_default().replace('\n', " ")
}

/// Returns the key that marks a variant of an enum, when a branch fails because it is not there.
fn variant<'a>(branch: &'a [ValidationError<'_>], at: &str) -> Option<&'a str> {
    branch.iter().find_map(|it| match it.kind() {
        Reason::Required { property } if it.instance_path().as_str() == at => property.as_str(),
        _ => None,
    })
}

fn near_prefix(word: &str, names: &[&str]) -> String {
    nearest(word, names.iter().copied()).map(|it| format!("did you mean `{it}`? ")).unwrap_or_default()
}

fn finding(at: &str, code: Code, message: String, label: impl Into<String>, help: Option<String>) -> Finding {
    Finding { at: at.to_owned(), key: None, code, message, label: label.into(), help }
}

fn type_name(it: JsonType) -> &'static str {
    match it {
        JsonType::Array => "a list",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a map",
        JsonType::String => "text",
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(it) => format!("`{it}`"),
        Value::Number(it) => format!("the number `{it}`"),
        Value::String(it) => format!("the text {}", quote(it)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}
