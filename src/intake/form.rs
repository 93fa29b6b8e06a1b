//! `/f/{token}`: a website's form posts a lead.

mod decode;
mod question;
mod read;

pub use decode::{Decoded, Encoding, decode};
pub use read::{Sent, read, values};
