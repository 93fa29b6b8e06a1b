//! A worker process, and what it and its parent tell each other over its standard input and output.
//!
//! `ready`, and the parent answers `go`; then a line whenever jobs have run: `<count> <when> <first>`, and `<number>=<when>`
//! for each job whose begin is asked for. It stops when its input ends, which it also does when the parent dies.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::clock;
use crate::seen::Seen;
use crate::system::System;

/// How often it is told what has run.
const TELL: Duration = Duration::from_millis(2);

/// What the parent says.
pub struct Signals(Lines<BufReader<Stdin>>);

impl Signals {
    /// Says that everything is prepared and waits to be told to begin.
    pub async fn go(&mut self) -> Result<()> {
        println!("ready");
        let line = self.0.next_line().await?;
        ensure!(line.as_deref() == Some("go"), "not told to begin");
        Ok(())
    }

    /// Returns when it is time to stop.
    pub async fn stop(&mut self) {
        while let Ok(Some(_)) = self.0.next_line().await {}
    }
}

/// Works with `system` as a process of its own.
pub async fn work(system: &dyn System, url: &str, begins: bool) -> Result<()> {
    let seen = if begins {
        Seen::with_begins()
    } else {
        Seen::default()
    };
    let signals = Signals(BufReader::new(tokio::io::stdin()).lines());
    let telling = tokio::spawn(tell(seen.clone()));
    let worked = system.work(url, seen.clone(), signals).await;
    telling.abort();
    say(&seen)?;
    worked.with_context(|| format!("{} at work", system.name()))
}

async fn tell(seen: Seen) {
    let mut told = 0;
    loop {
        tokio::time::sleep(TELL).await;
        let runs = seen.runs();
        if runs == told {
            continue;
        }
        told = runs;
        if say(&seen).is_err() {
            return;
        }
    }
}

fn say(seen: &Seen) -> std::io::Result<()> {
    let mut line = format!("{} {} {}", seen.runs(), clock::now(), seen.first());
    for (number, began) in seen.take_begins() {
        let _ = write!(line, " {number}={began}");
    }
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
