//! MQTT topic filters with named levels: `plant/{site}/+/{device}/#`.
//!
//! Used by routes. Matching follows MQTT 3.1.1 section 4.7: levels stand between slashes and may be empty, `+` is one level,
//! `#` is the rest and the level above it, and a wildcard at the front matches no topic that starts with `$`.

use crate::error::{Error, Result};

/// A topic filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    text: String,
    levels: Vec<Level>,
    names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Text(String),
    /// `+`.
    Any,
    /// `{name}`.
    Named,
    /// `#`.
    Rest,
}

impl Filter {
    /// Reads a filter.
    ///
    /// Errors: `Invalid` for an empty filter, a `#` that is not last, a wildcard or a brace that does not fill its level, a
    /// name given twice.
    pub fn new(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::invalid(format!("the topic filter {text:?} {why}"));
        if text.is_empty() || text.contains('\0') {
            return Err(wrong("is empty or holds a zero byte"));
        }
        let mut levels = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let count = text.split('/').count();
        for (place, level) in text.split('/').enumerate() {
            let named = level.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
            levels.push(match (level, named) {
                ("+", _) => Level::Any,
                ("#", _) if place + 1 == count => Level::Rest,
                ("#", _) => return Err(wrong("has a # that is not its last level")),
                (_, Some(name)) if name.is_empty() || name.contains(['{', '}', '+', '#', '.']) => {
                    return Err(wrong("has a level whose name is empty or holds one of {}+#."));
                }
                (_, Some(name)) if names.iter().any(|own| own == name) => {
                    return Err(wrong(&format!("names two levels {name}")));
                }
                (_, Some(name)) => {
                    names.push(name.to_string());
                    Level::Named
                }
                _ if level.contains(['+', '#', '{', '}']) => {
                    return Err(wrong("has a wildcard or brace that shares its level with other text"));
                }
                _ => Level::Text(level.to_string()),
            });
        }
        Ok(Filter { text: text.to_string(), levels, names })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of its named levels, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The values of the named levels if the topic matches.
    pub fn matches<'t>(&self, topic: &'t str) -> Option<Vec<&'t str>> {
        if topic.starts_with('$') && !matches!(self.levels.first(), Some(Level::Text(_))) {
            return None;
        }
        let mut named = Vec::with_capacity(self.names.len());
        let mut parts = topic.split('/');
        for level in &self.levels {
            if *level == Level::Rest {
                return Some(named);
            }
            let part = parts.next()?;
            match level {
                Level::Text(text) if text == part => {}
                Level::Text(_) => return None,
                Level::Named => named.push(part),
                Level::Any | Level::Rest => {}
            }
        }
        parts.next().is_none().then_some(named)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn matches(filter: &str, topic: &str) -> bool {
        Filter::new(filter).unwrap().matches(topic).is_some()
    }

    /// The examples of MQTT 3.1.1, section 4.7.
    #[test]
    fn as_the_standard_says() {
        for topic in ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"] {
            assert!(matches("sport/tennis/player1/#", topic), "{topic}");
        }
        assert!(matches("sport/#", "sport"));
        assert!(matches("#", "any/thing"));
        assert!(matches("sport/tennis/+", "sport/tennis/player1"));
        assert!(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
        assert!(!matches("sport/+", "sport"));
        assert!(matches("sport/+", "sport/"));
        assert!(matches("+/+", "/finance"));
        assert!(matches("/+", "/finance"));
        assert!(!matches("+", "/finance"));
        assert!(!matches("#", "$SYS/uptime"));
        assert!(!matches("+/monitor/Clients", "$SYS/monitor/Clients"));
        assert!(matches("$SYS/#", "$SYS/uptime"));
        assert!(!matches("a/b", "a/b/"));
        assert!(!matches("a", "A"));
    }

    #[test]
    fn named_levels_give_their_values() {
        let filter = Filter::new("factory/{site}/+/{device}/#").unwrap();
        assert_eq!(filter.names(), ["site", "device"]);
        assert_eq!(filter.matches("factory/north/hall/pump/rpm/now").unwrap(), ["north", "pump"]);
        assert_eq!(filter.matches("factory/north/hall/pump").unwrap(), ["north", "pump"]);
        assert_eq!(filter.matches("factory//hall/pump").unwrap(), ["", "pump"]);
        assert_eq!(filter.matches("factory/north/hall"), None);
    }

    #[test]
    fn wrong_filters_are_refused() {
        for filter in ["", "a/#/b", "a#", "a/+b", "{a", "x{a}", "{}", "{a}/{a}", "{a.b}", "\0"] {
            assert!(Filter::new(filter).is_err(), "{filter:?}");
        }
    }
}
