//! The main job from end to end: what comes in ends as a scored lead and a told rep.

mod capture;
mod trace;
