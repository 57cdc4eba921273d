//! Reads a TOML tree piece by piece and notes every mistake, so that all are told at once.
//!
//! A serde type would stop at the first one. A [`Table`] remembers which keys were asked for; what is left
//! when it is closed is unknown, and unknown keys are mistakes.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Mistake, units};

/// Where the values come from: one file's text, and the environment that `${NAME}` refers to.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) mistakes: RefCell<Vec<Mistake>>,
    /// Keys that cannot be read: no mistakes of the file, but worth telling.
    pub(super) keyless: RefCell<Vec<Mistake>>,
}

impl Source<'_> {
    /// Notes a mistake at a span of the file.
    pub(super) fn report(&self, span: Range<usize>, message: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake::at(self.file, self.text, span, message));
    }

    /// Replaces every `${NAME}` by the environment's value.
    fn expand(&self, text: &str, span: &Range<usize>) -> Option<String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else {
                self.report(span.clone(), "'${' without its '}'");
                return None;
            };
            let Some(value) = (self.environment)(name) else {
                self.report(span.clone(), unset(name));
                return None;
            };
            expanded.push_str(before);
            expanded.push_str(&value);
            rest = behind;
        }
        expanded.push_str(rest);
        Some(expanded)
    }
}

/// A table of the file, being read.
pub(super) struct Table<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) span: Range<usize>,
    entries: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        entries: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        Self { source, span, entries, asked: RefCell::default() }
    }

    /// The value of a key that may be left out.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(key);
        self.entries.get(key).map(|value| Value { source: self.source, key, value })
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &'static str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.source.report(self.span.clone(), format!("'{key}' is missing here"));
        }
        value
    }

    /// The tables of an array of tables; none where the key is left out.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Self> {
        self.get(key).map(|value| value.tables()).unwrap_or_default()
    }

    /// Closes the table: what nobody asked for is unknown.
    pub(super) fn close(self) {
        self.check_known();
    }

    /// What [`Self::close`] does, for the root that others still borrow.
    pub(super) fn check_known(&self) {
        let asked = self.asked.borrow();
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !asked.contains(&name) {
                let name = if is_word(name) { format!(" '{name}'") } else { String::new() };
                let known = asked.join(", ");
                self.source.report(key.span(), format!("unknown key{name}; known here: {known}"));
            }
        }
    }
}

/// A value of the file, with the key that it stands under.
pub(super) struct Value<'a> {
    pub(super) source: &'a Source<'a>,
    key: &'static str,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Notes a mistake at this value. Returns `None`, as every reader of a wrong value does.
    pub(super) fn wrong<T>(&self, rule: &str) -> Option<T> {
        self.source.report(self.value.span(), format!("'{}' {rule}", self.key));
        None
    }

    /// Text, with `${NAME}` replaced.
    pub(super) fn text(&self) -> Option<String> {
        match self.value.get_ref().as_str() {
            Some(text) => self.source.expand(text, &self.value.span()),
            None => self.wrong("must be text in quotes"),
        }
    }

    /// Text that a parser understands; the rule says what it should have been.
    pub(super) fn parsed<T>(&self, rule: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text()?;
        parse(&text).or_else(|| self.wrong(rule))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let known =
            words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        self.parsed(&format!("must be one of {known}"), |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
        })
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let number = match self.value.get_ref() {
            DeValue::Integer(digits) => {
                u64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok()
            }
            DeValue::String(text) if text.contains("${") => {
                self.source.expand(text, &self.value.span())?.parse().ok()
            }
            _ => None,
        };
        let rule = format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
        number.filter(|number| bounds.contains(number)).or_else(|| self.wrong(&rule))
    }

    /// A share, from 0 to 1.
    pub(super) fn share(&self) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Integer(digits) => digits.as_str().parse().ok(),
            DeValue::Float(digits) => digits.as_str().replace('_', "").parse().ok(),
            DeValue::String(text) if text.contains("${") => {
                self.source.expand(text, &self.value.span())?.parse().ok()
            }
            _ => None,
        };
        let share = number.filter(|share: &f64| (0.0..=1.0).contains(share));
        share.or_else(|| self.wrong("must be a share from 0 to 1, as in 0.1"))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        let value = match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(text) if text.contains("${") => {
                self.source.expand(text, &self.value.span())?.parse().ok()
            }
            _ => None,
        };
        value.or_else(|| self.wrong("must be true or false"))
    }

    /// A length of time such as `"250ms"`, within bounds.
    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let rule = format!(
            "must be a time from {:?} to {:?}, written as in \"250ms\", \"30s\", \"5m\" or \"1h\"",
            bounds.start(),
            bounds.end()
        );
        let zero =
            matches!(self.value.get_ref(), DeValue::Integer(digits) if digits.as_str() == "0");
        if zero && bounds.contains(&Duration::ZERO) {
            return Some(Duration::ZERO);
        }
        self.parsed(&rule, |text| units::duration(text).filter(|time| bounds.contains(time)))
    }

    /// A number of bytes such as `"64MiB"`, within bounds.
    pub(super) fn size(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let rule = format!(
            "must be a size from {} to {} bytes, written as in \"512B\", \"32KiB\", \"8MiB\" or \"1GiB\"",
            bounds.start(),
            bounds.end()
        );
        self.parsed(&rule, |text| units::size(text).filter(|size| bounds.contains(size)))
    }

    /// A table.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        match self.value.get_ref().as_table() {
            Some(entries) => Some(Table::new(self.source, entries, self.value.span())),
            None => self.wrong("must be a table"),
        }
    }

    /// Where it stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Whether it is a table, for values that may also be a word.
    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// The items of an array.
    pub(super) fn items(&self) -> Vec<Self> {
        let Some(items) = self.value.get_ref().as_array() else {
            return self.wrong("must be an array").unwrap_or_default();
        };
        items.iter().map(|value| Self { source: self.source, key: self.key, value }).collect()
    }

    fn tables(&self) -> Vec<Table<'a>> {
        self.items().iter().filter_map(Value::table).collect()
    }
}

/// Tells that an environment variable is missing. Its name is told only if it looks like one: who puts
/// a key where its name belongs should not find it in a log.
pub(super) fn unset(name: &str) -> String {
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let looks = name.len() <= 40 && name.contains('_') && name.bytes().all(upper);
    let name = if looks { name } else { "named here" };
    format!("the environment variable {name} is not set")
}

/// Whether this looks like a key of a table, and not like a secret that stands in its place.
fn is_word(name: &str) -> bool {
    name.len() <= 24 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
