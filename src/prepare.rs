//! What a process needs before it starts: its settings and templates, or everything that is wrong with them in one list.
//!
//! Every process looks at all settings. Of the templates it looks at those that it fills: `work` at the mails, `serve` at the
//! pages, `check` and `dev` at both.

use std::path::{Path, PathBuf};

use jobs::Effects;
use jobs::effects::messages::Messages;

use crate::config::{self, Config, Mistake, Read, SETTINGS, Sources, did_you_mean};
use crate::web::view::Views;
use crate::work;

/// How the files of templates end.
const ENDINGS: [&str; 3] = ["html", "txt", "mjml"];

/// The parts of `check` and `dev`.
pub fn everything(sources: &Sources) -> Result<(Config, (Effects, Views)), Vec<Mistake>> {
    let mut read = settings(sources);
    let of_queues = work::queue_mistakes(&read.config, &[]);
    read.add(of_queues);
    let effects = taken(&mut read, work::effects);
    let views = taken(&mut read, pages);
    whole(read, effects.zip(views))
}

/// The parts of `serve`.
pub fn serve(sources: &Sources) -> Result<(Config, Views), Vec<Mistake>> {
    let mut read = settings(sources);
    let reach = taken(&mut read, work::reach);
    let views = taken(&mut read, pages);
    whole(read, views.filter(|_| reach.is_some()))
}

/// The parts of `work`.
pub fn work(sources: &Sources) -> Result<(Config, Effects), Vec<Mistake>> {
    let mut read = settings(sources);
    let effects = taken(&mut read, work::effects);
    whole(read, effects)
}

fn settings(sources: &Sources) -> Read {
    let mut read = config::read(sources);
    let strays = read.config.templates.folder().map(strays);
    read.add(strays.unwrap_or_default());
    read
}

fn pages(config: &Config) -> Result<Views, Vec<Mistake>> {
    Views::load(config.templates.folder())
}

/// A part, or its mistakes among the others.
fn taken<T>(read: &mut Read, load: impl FnOnce(&Config) -> Result<T, Vec<Mistake>>) -> Option<T> {
    match load(&read.config) {
        Ok(part) => Some(part),
        Err(mistakes) => {
            read.add(mistakes);
            None
        }
    }
}

fn whole<T>(read: Read, parts: Option<T>) -> Result<(Config, T), Vec<Mistake>> {
    match parts {
        Some(parts) if read.mistakes.is_empty() => Ok((read.config, parts)),
        _ => Err(read.mistakes),
    }
}

/// What is wrong with the folder of templates itself: it is not there, or has files that replace nothing.
fn strays(dir: &Path) -> Vec<Mistake> {
    if !dir.is_dir() {
        let problem = format!("`{}` is not a folder", dir.display());
        return vec![Mistake::new(SETTINGS, "templates.dir", problem)];
    }
    let known: Vec<String> = Messages::files().chain(Views::files()).collect();
    let mut found = Vec::new();
    collect(dir, &mut found);
    found.sort();
    let strays = found.into_iter().filter_map(|file| {
        let name = file.strip_prefix(dir).ok()?.to_str()?.to_owned();
        if known.contains(&name) {
            return None;
        }
        let nearest = did_you_mean(&name, known.iter().map(String::as_str));
        let hint = nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        let problem = format!("replaces no template{hint}");
        Some(Mistake::new(file.display().to_string(), "", problem))
    });
    strays.collect()
}

/// The templates in a folder and those in it; what is hidden is somebody else's.
fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path
            .extension()
            .is_some_and(|end| ENDINGS.iter().any(|known| end == *known))
        {
            found.push(path);
        }
    }
}
