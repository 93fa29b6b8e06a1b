//! The Leadmill platform.
