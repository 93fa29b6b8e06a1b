//! Lay the sources over each other and name every mistake in them.
//!
//! Each setting found is first tried on its own against the defaults, so that one wrong type does not hide the next.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{Config, validate};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "worker.toml";

const PREFIX: &str = "LEADMILL__";
const WELL_KNOWN: [(&str, &str, &str); 4] = [
    ("DATABASE_URL", "database", "url"),
    ("SMTP_URL", "mail", "url"),
    ("LEADMILL_MASTER_KEYS", "enrichment", "master_keys"),
    ("RUST_LOG", "log", "filter"),
];
const SECRETS: [(&str, &str); 4] = [
    ("database", "url"),
    ("mail", "url"),
    ("enrichment", "api_key"),
    ("enrichment", "master_keys"),
];

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named on the command line; without one, `worker.toml` if it is there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// `--set section.key=value` and flags with a name of their own, the flag's name first.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The real environment of this process, and nothing from flags.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        Self {
            file,
            env: std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            flags: Vec::new(),
        }
    }
}

/// One mistake: where it is, which key, what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// File and line, or the name of the variable or flag.
    pub place: String,
    /// `section.key`; empty if the place holds no setting at all.
    pub key: String,
    /// What is wrong and how to fix it.
    pub problem: String,
}

impl Mistake {
    /// What is wrong with `key` at `place`.
    pub fn new(
        place: impl Into<String>,
        key: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            key: key.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

/// The place of a mistake that was found in the settings themselves, whatever they came from.
pub const SETTINGS: &str = "settings";

/// The settings that `sources` give, or every mistake in them.
pub fn load(sources: &Sources) -> Result<Config, Vec<Mistake>> {
    let read = read(sources);
    if read.mistakes.is_empty() {
        Ok(read.config)
    } else {
        Err(read.mistakes)
    }
}

/// What `sources` give, as far as it can be used, and every mistake in them.
pub fn read(sources: &Sources) -> Read {
    let mut gathered = Gathered::default();
    gathered.read_file(sources.file.as_deref());
    gathered.read_env(&sources.env);
    gathered.read_flags(&sources.flags);
    gathered.into_read()
}

/// Settings that may have mistakes; a setting that cannot be read has its default.
#[derive(Debug)]
pub struct Read {
    /// The settings.
    pub config: Config,
    /// What is wrong with them.
    pub mistakes: Vec<Mistake>,
    places: BTreeMap<String, String>,
}

impl Read {
    /// Adds what was found by using the settings: one mistake a setting, at the place that the setting came from.
    pub fn add(&mut self, found: Vec<Mistake>) {
        for mut mistake in found {
            if mistake.place == SETTINGS {
                let known = self.mistakes.iter().any(|other| other.key == mistake.key);
                if known {
                    continue;
                }
                let place = self.places.get(&mistake.key);
                mistake.place = place.cloned().unwrap_or_else(|| DEFAULT.to_owned());
            }
            self.mistakes.push(mistake);
        }
    }
}

/// The place of a setting that nothing sets.
const DEFAULT: &str = "default";

/// A value found, and where.
struct Found {
    place: String,
    /// Where each entry of a list is.
    entries: Vec<String>,
    value: Value,
}

struct Gathered {
    defaults: Table,
    found: BTreeMap<(String, String), Found>,
    mistakes: Vec<Mistake>,
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            defaults: Table::try_from(Config::default()).expect("the defaults are plain values"),
            found: BTreeMap::new(),
            mistakes: Vec::new(),
        }
    }
}

impl Gathered {
    fn read_file(&mut self, named: Option<&Path>) {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return self.mistake(path.display(), "", "is not UTF-8 text".into()),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                return self.mistake(path.display(), "", format!("cannot be read: {error}"));
            }
        };
        let place = |at: usize| {
            let line = text[..at.min(text.len())].matches('\n').count() + 1;
            format!("{}:{line}", path.display())
        };

        let (document, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            self.mistake(place(at), "", format!("is not TOML: {}", error.message()));
        }
        if !errors.is_empty() {
            return;
        }
        for (section, value) in document.into_inner() {
            let at = place(section.span().start);
            let section = section.into_inner().into_owned();
            if !self.knows_section(&section, &at) {
                continue;
            }
            let DeValue::Table(table) = value.into_inner() else {
                self.mistake(
                    at,
                    &section,
                    format!("is a section; write [{section}] on a line of its own"),
                );
                continue;
            };
            for (key, value) in table {
                let at = place(key.span().start);
                let entries = match value.get_ref() {
                    DeValue::Array(entries) => entries
                        .iter()
                        .map(|entry| place(entry.span().start))
                        .collect(),
                    _ => Vec::new(),
                };
                match plain(value) {
                    Ok(value) => {
                        self.add(at, &section, key.get_ref(), value);
                        let path = (section.clone(), key.get_ref().to_string());
                        if let Some(found) = self.found.get_mut(&path) {
                            found.entries = entries;
                        }
                    }
                    Err(error) => self.mistake(at, &format!("{section}.{}", key.get_ref()), error),
                }
            }
        }
        self.mistakes.sort_by_key(|mistake| line_of(&mistake.place));
    }

    fn read_env(&mut self, env: &[(String, String)]) {
        for (name, section, key) in WELL_KNOWN {
            if let Some(text) = find(env, name) {
                self.add(name.into(), section, key, Value::String(text.into()));
            }
            if name != "RUST_LOG" {
                self.add_from_file(env, &format!("{name}_FILE"), section, key);
            }
        }
        let mut ours: Vec<_> = env
            .iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        ours.sort();
        for (name, text) in ours {
            let lower = name[PREFIX.len()..].to_lowercase();
            let Some((section, key)) = lower.split_once("__") else {
                self.mistake(
                    name,
                    "",
                    format!("names no setting; write {PREFIX}SECTION__KEY"),
                );
                continue;
            };
            let secret_file = key
                .strip_suffix("_file")
                .filter(|key| SECRETS.contains(&(section, key)));
            if let Some(key) = secret_file {
                self.add_from_file(env, name, section, key);
            } else if self.knows_section(section, name) {
                self.add_text(name.clone(), section, key, text);
            }
        }
    }

    fn read_flags(&mut self, flags: &[(String, String)]) {
        for (flag, assignment) in flags {
            let Some(((section, key), text)) = assignment
                .split_once('=')
                .and_then(|(path, text)| Some((path.trim().split_once('.')?, text)))
            else {
                self.mistake(
                    flag,
                    "",
                    format!("`{assignment}` is no setting; write section.key=value"),
                );
                continue;
            };
            if self.knows_section(section, flag) {
                self.add_text(flag.clone(), section, key, text);
            }
        }
    }

    /// The content of the file that a `…_FILE` variable names.
    fn add_from_file(&mut self, env: &[(String, String)], name: &str, section: &str, key: &str) {
        let Some(path) = find(env, name) else { return };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let text = text.trim_end_matches(['\r', '\n']);
                self.add(name.into(), section, key, Value::String(text.into()));
            }
            Err(error) => {
                self.mistake(
                    name,
                    &format!("{section}.{key}"),
                    format!("{path} cannot be read: {error}"),
                );
            }
        }
    }

    /// Text from outside a file: read as TOML where the setting is not itself text.
    fn add_text(&mut self, place: String, section: &str, key: &str, text: &str) {
        let is_text = self
            .defaults
            .get(section)
            .and_then(|section| section.get(key))
            .is_some_and(Value::is_str);
        let value = if is_text {
            None
        } else {
            toml::from_str::<Table>(&format!("value = {text}"))
                .ok()
                .and_then(|mut table| table.remove("value"))
        };
        self.add(
            place,
            section,
            key,
            value.unwrap_or_else(|| Value::String(text.into())),
        );
    }

    fn knows_section(&mut self, section: &str, place: &str) -> bool {
        let known = self.defaults.contains_key(section);
        if !known {
            let hint = did_you_mean(section, self.defaults.keys().map(String::as_str))
                .map(|name| format!("; did you mean [{name}]?"))
                .unwrap_or_default();
            self.mistake(place, section, format!("unknown section{hint}"));
        }
        known
    }

    /// Keeps a value that the setting can have; a later source replaces an earlier one.
    fn add(&mut self, place: String, section: &str, key: &str, value: Value) {
        let path = format!("{section}.{key}");
        let Some(default) = self
            .defaults
            .get(section)
            .and_then(|section| section.get(key))
        else {
            let hint = self
                .nearest(section, key)
                .map(|name| format!("; did you mean {name}?"));
            return self.mistake(
                place,
                &path,
                format!("unknown setting{}", hint.unwrap_or_default()),
            );
        };

        let mut trial = self.defaults.clone();
        trial[section][key] = value.clone();
        if let Err(error) = serde_path_to_error::deserialize::<_, Config>(trial) {
            let inside = error.path().to_string();
            let inside = inside.strip_prefix(&path).unwrap_or_default();
            let example = match default {
                Value::Array(_) => String::new(),
                default => format!("; write it like {key} = {default}"),
            };
            let problem = in_plain_words(error.inner().message());
            return self.mistake(
                place,
                &format!("{path}{inside}"),
                format!("{problem}{example}"),
            );
        }
        self.found.insert(
            (section.into(), key.into()),
            Found {
                place,
                entries: Vec::new(),
                value,
            },
        );
    }

    /// The known key most like the one written: in its own section, else wherever else it exists.
    fn nearest(&self, section: &str, key: &str) -> Option<String> {
        let keys = |table: &'_ Value| -> Vec<String> {
            table
                .as_table()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.clone())
                .collect()
        };
        let own = self.defaults.get(section).map(keys).unwrap_or_default();
        if let Some(name) = did_you_mean(key, own.iter().map(String::as_str)) {
            return Some(format!("{section}.{name}"));
        }
        self.defaults
            .iter()
            .find(|(_, table)| table.get(key).is_some())
            .map(|(section, _)| format!("{section}.{key}"))
    }

    fn into_read(mut self) -> Read {
        let mut table = self.defaults.clone();
        for ((section, key), found) in &self.found {
            table[section.as_str()][key.as_str()] = found.value.clone();
        }
        let config = Config::deserialize(table).expect("every setting was tried on its own");
        for broken in validate::broken_rules(&config) {
            let found = broken
                .key
                .split_once('.')
                .and_then(|(section, key)| self.found.get(&(section.into(), key.into())));
            let place = found.map_or(DEFAULT, |found| {
                let entry = broken.entry.and_then(|entry| found.entries.get(entry));
                entry.unwrap_or(&found.place)
            });
            self.mistake(place.to_owned(), broken.key, broken.problem);
        }
        let places = self
            .found
            .into_iter()
            .map(|((section, key), found)| (format!("{section}.{key}"), found.place));
        Read {
            config,
            places: places.collect(),
            mistakes: self.mistakes,
        }
    }

    fn mistake(&mut self, place: impl fmt::Display, key: &str, problem: String) {
        self.mistakes.push(Mistake {
            place: place.to_string(),
            key: key.into(),
            problem,
        });
    }
}

fn find<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    env.iter()
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.as_str())
}

/// A parsed value without its spans.
fn plain(value: Spanned<DeValue<'_>>) -> Result<Value, String> {
    Value::deserialize(toml::de::ValueDeserializer::from(value))
        .map_err(|error| error.message().into())
}

fn line_of(place: &str) -> usize {
    place
        .rsplit(':')
        .next()
        .and_then(|line| line.parse().ok())
        .unwrap_or(0)
}

/// The message without the names of Rust's number types.
fn in_plain_words(message: &str) -> String {
    ["usize", "u64", "u32", "u16"]
        .iter()
        .fold(message.to_owned(), |text, name| {
            text.replace(
                &format!("expected {name}"),
                "expected a whole number, 0 or more",
            )
        })
}

/// The name most like `written`, if it is close enough to be a slip.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    names: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    names
        .map(|name| (distance(written, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be changed, added or left out to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
