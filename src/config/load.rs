//! Reads the configuration: defaults, then the file, then `FLUXMILL_*` variables; explains what is wrong with it.
//!
//! Called by the command line. The only file it opens is the one that it is given.

use std::path::Path;

use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Profile};

use super::Config;
use crate::diagnostic::nearest;
use crate::error::{Error, Result};

/// Variables that mean something else than a key of the file; the command line reads them.
const OTHER_VARIABLES: [&str; 4] = ["url", "token", "config", "log_level"];

/// The configuration from the defaults, the file (if one is given) and the environment.
///
/// `FLUXMILL_DATA_DIR` is `data_dir`; sections are separated by two underscores: `FLUXMILL_HTTP__LISTEN`,
/// `FLUXMILL_LOG__KAFKA__BROKERS`.
///
/// Errors: `Invalid` with the key, what was expected and what was found; an unknown key with the nearest known one.
pub fn load(file: Option<&Path>) -> Result<Config> {
    let mut figment = Figment::from(Serialized::from(Config::default(), Profile::Default));
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::invalid(format!("cannot read the configuration {}: {error}", path.display())))?;
        figment = figment.merge(Toml::string(&text));
    }
    let environment = Env::prefixed("FLUXMILL_").ignore(&OTHER_VARIABLES).split("__");
    figment.merge(environment).extract().map_err(|errors| explain(errors, file))
}

fn explain(errors: figment::Error, file: Option<&Path>) -> Error {
    let mut sentences = Vec::new();
    let mut hint = None;
    for error in errors {
        let key = error.path.join(".");
        let sentence = match &error.kind {
            Kind::UnknownField(name, known) => {
                let place = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                if let Some(meant) = nearest(name, known.iter().copied()) {
                    hint.get_or_insert_with(|| format!("did you mean {meant}?"));
                }
                format!("unknown key {place} (known here: {})", known.join(", "))
            }
            Kind::Message(_) if key.is_empty() => error.kind.to_string(),
            kind => format!("{key}: {kind}"),
        };
        sentences.push(sentence);
    }
    let place = file.map_or_else(|| "the configuration".to_string(), |path| path.display().to_string());
    let error = Error::invalid(format!("{place}: {}", sentences.join("; ")));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Age, LogKind};

    fn read(text: &str) -> Result<Config> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(Some(file.path()))
    }

    #[test]
    fn a_file_changes_only_what_it_names() {
        let config = read("[log]\nkind = \"kafka\"\n[sink]\nflush_age = \"5s\"\n").unwrap();
        assert_eq!(config.log.kind, LogKind::Kafka);
        assert_eq!(config.sink.flush_age, Age::seconds(5));
        assert_eq!(config.sink.flush_rows, Config::default().sink.flush_rows);
        assert_eq!(config.routes.len(), 1, "the route of the demo stays while the file names none");
    }

    #[test]
    fn routes_of_a_file_replace_the_demo_route() {
        let config = read("[[route]]\nfilter = \"a/{b}\"\ntopic = \"t\"\nmeasurement = \"m\"\n").unwrap();
        assert_eq!(config.routes.len(), 1);
        assert_eq!(config.routes[0].topic, "t");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_a_suggestion() {
        let error = read("[mqtt]\nlisten_on = \"x\"\n").unwrap_err();
        assert!(error.message().contains("unknown key"), "{error}");
        assert!(error.message().contains("listen_on"), "{error}");
        let error = read("[sink]\nflush_row = 5\n").unwrap_err();
        assert_eq!(error.hint(), Some("did you mean flush_rows?"));
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        let error = read("[sink]\nflush_age = 30\n").unwrap_err();
        assert!(error.message().contains("sink.flush_age"), "{error}");
        assert!(error.message().contains("with its unit"), "{error}");
    }

    #[test]
    fn the_commented_example_spells_out_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fluxmill.toml");
        let read = serde_json::to_value(load(Some(&path)).unwrap()).unwrap();
        assert_eq!(read, serde_json::to_value(Config::default()).unwrap());
    }
}
