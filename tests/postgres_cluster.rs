//! The private cluster and the databases of tests.

mod templates;
