//! How far a measurement is: a bar on a terminal, a plain line now and then elsewhere, both on standard error.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a bar is drawn.
const DRAWN_PER_SECOND: u8 = 10;
/// How often a bar that has nothing to count yet shows that it is alive.
const TICK: Duration = Duration::from_millis(200);

/// One phase of a measurement.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    bar: ProgressBar,
    /// Nobody sees a bar.
    plain: bool,
}

impl Progress {
    /// Begins a phase of `total` steps.
    pub(crate) fn begin(what: &str, total: usize) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND)
        };
        Self::on(target, plain, what, total)
    }

    /// The same where it is to be drawn, or told in lines because nobody sees a bar.
    fn on(target: ProgressDrawTarget, plain: bool, what: &str, total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        let style = ProgressStyle::with_template("{msg:28} {bar:30} {human_pos} of {human_len}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        if plain {
            say(format_args!("{what}: {total}"));
        } else {
            bar.enable_steady_tick(TICK);
        }
        Self {
            what: what.to_owned(),
            bar,
            plain,
        }
    }

    /// Sets how many steps are done in all.
    pub(crate) fn at(&self, done: usize) {
        let before = self.bar.position();
        self.bar.set_position(done as u64);
        self.tell(before, done as u64);
    }

    /// Adds steps that are done.
    pub(crate) fn more(&self, steps: usize) {
        let before = self.bar.position();
        self.bar.inc(steps as u64);
        self.tell(before, before + steps as u64);
    }

    fn tell(&self, before: u64, now: u64) {
        let total = self.bar.length().unwrap_or_default();
        if let Some(percent) = passed(before, now, total).filter(|_| self.plain) {
            say(format_args!("{}: {percent} %", self.what));
        }
    }
}

/// Tells whoever reads it; a measurement is none the worse if nobody does.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The quarter of the way that was passed, in percent; the end is told by what is printed then.
fn passed(before: u64, now: u64, total: u64) -> Option<u64> {
    let quarter = |done: u64| done.min(total) * 4 / total.max(1);
    let reached = quarter(now);
    (reached > quarter(before) && reached < 4).then_some(reached * 25)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal of one line, and what it showed.
    #[derive(Debug, Default, Clone)]
    struct Screen(Arc<Mutex<Vec<String>>>);

    impl Screen {
        fn put(&self, text: &str) -> io::Result<()> {
            let mut shown = self.0.lock().unwrap();
            match shown.last_mut() {
                Some(line) => line.push_str(text),
                None => shown.push(text.to_owned()),
            }
            Ok(())
        }

        fn shown(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().push(String::new());
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_shows_a_bar_that_fills_and_goes_away() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let progress = Progress::on(target, false, "enqueue", 2_000);
        progress.more(500);
        progress.bar.force_draw();
        progress.at(2_000);
        progress.bar.force_draw();
        drop(progress);

        let shown = screen.shown();
        let bar = |done: &str| {
            let line = shown.iter().rfind(|line| line.contains(done));
            let line = line.unwrap_or_else(|| panic!("{done}: {shown:#?}"));
            assert!(line.starts_with("enqueue"), "{line}");
            line.matches('█').count()
        };
        assert_eq!(bar(" 500 of 2,000"), 7);
        assert_eq!(bar(" 2,000 of 2,000"), 30);
        assert_eq!(shown.last().map(|line| line.trim()), Some(""), "it is gone");
    }

    #[test]
    fn each_quarter_is_told_once() {
        let told: Vec<u64> = (0..100).filter_map(|n| passed(n, n + 1, 100)).collect();
        assert_eq!(told, [25, 50, 75]);
        assert_eq!(passed(0, 80, 100), Some(75));
        assert_eq!(passed(0, 100, 100), None);
        assert_eq!(passed(0, 0, 0), None);
    }
}
