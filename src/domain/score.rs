//! How promising a lead is, from 0 to 100, with the reasons.

use crate::text::text_enum;

text_enum! {
    /// How a score reads.
    Band {
        /// Low: watch or drop.
        Cold = "cold",
        /// Medium: nurture.
        Warm = "warm",
        /// High: first in line.
        Hot = "hot",
    }
}
