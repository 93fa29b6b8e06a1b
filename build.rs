//! Makes a new migration count as a change: the migrations are embedded in the program.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
