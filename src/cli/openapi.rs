//! `leadmill openapi`: the description of the REST API.

use super::{Failure, say};
use crate::api::openapi::description;

/// Arguments of `leadmill openapi`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Result<(), Failure> {
    let text = description().to_pretty_json().map_err(anyhow::Error::new)?;
    say::line(text)
}
