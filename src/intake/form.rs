//! `POST /f/{token}`: read what a website's form posts. Pure; the caller stores it.

mod decode;
mod question;
mod read;

pub use decode::{Decoded, Encoding, decode};
pub use read::{Sent, read, values};
