//! From the archive of Debian or Ubuntu: download the package and unpack it, without installing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Staging, output_of};
use crate::error::System;

/// Downloads the distribution's Postgres and what it needs beyond what is installed.
pub(super) fn fetch(cache: &Path, announce: fn(&str)) -> Result<(), String> {
    if System::current() != System::Debian {
        return Err("this is not Debian or Ubuntu".to_owned());
    }
    output_of(Command::new("apt-get").arg("--version"))?;
    // An image often comes without the lists of packages, or with outdated ones: then our own are fetched.
    Apt { own_lists: None }
        .download(cache, announce)
        .or_else(|_| {
            let apt = Apt {
                own_lists: Some(cache.join("apt")),
            };
            apt.update(announce)?;
            apt.download(cache, announce)?;
            let _ = fs::remove_dir_all(cache.join("apt"));
            Ok(())
        })
}

struct Apt {
    /// Where our own lists of packages are, which takes no rights; else the system's are used.
    own_lists: Option<PathBuf>,
}

impl Apt {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        if rustix::process::geteuid().is_root() {
            // Its download user may not enter our directories.
            command.args(["-o", "APT::Sandbox::User=root"]);
        }
        if let Some(dir) = &self.own_lists {
            command
                .arg("-o")
                .arg(format!("Dir::State::lists={}/lists", dir.display()));
            command
                .arg("-o")
                .arg(format!("Dir::Cache={}/cache", dir.display()));
        }
        command
    }

    fn update(&self, announce: fn(&str)) -> Result<(), String> {
        let Some(dir) = &self.own_lists else {
            return Ok(());
        };
        announce(
            "Fetching the lists of packages with apt-get, to find PostgreSQL (some 10 MB; nothing is installed)",
        );
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(part))
                .map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        }
        output_of(self.command("apt-get").args(["-qq", "update"])).map(drop)
    }

    fn download(&self, cache: &Path, announce: fn(&str)) -> Result<(), String> {
        let package = self.server_package()?;
        let mut packages = vec![package.clone()];
        packages.extend(self.missing_libraries(&package)?);
        let staging = Staging::new(cache, &format!("debian-{package}"))?;
        let size = self.size(&packages)?.div_ceil(1_000_000);
        if size == 0 {
            return Err(format!("the lists of packages do not have {package}"));
        }
        announce(&format!(
            "No PostgreSQL here; fetching {package} ({size} MB) with apt-get into {} (LEADMILL_PG_FETCH=never forbids it)",
            cache.display()
        ));

        output_of(
            self.command("apt-get")
                .args(["-qq", "download"])
                .args(&packages)
                .current_dir(&staging.dir),
        )?;
        let files = fs::read_dir(&staging.dir).map_err(|error| error.to_string())?;
        let debs: Vec<PathBuf> = files
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect();
        for deb in debs {
            output_of(
                Command::new("dpkg-deb")
                    .arg("-x")
                    .arg(&deb)
                    .arg(&staging.dir),
            )?;
            let _ = fs::remove_file(deb);
        }
        staging.finish()
    }

    /// The package of the version that the distribution prefers, such as `postgresql-15`.
    fn server_package(&self) -> Result<String, String> {
        let output = output_of(self.command("apt-cache").args(["depends", "postgresql"]))?;
        output
            .lines()
            .find_map(|line| {
                line.trim()
                    .strip_prefix("Depends: ")
                    .filter(|name| name.starts_with("postgresql-"))
            })
            .map(str::to_owned)
            .ok_or_else(|| "the archive has no postgresql".to_owned())
    }

    /// Libraries that `package` needs, directly or through one another, and that are not installed; not the one that only
    /// serves its JIT.
    fn missing_libraries(&self, package: &str) -> Result<Vec<String>, String> {
        let mut missing = BTreeSet::new();
        let mut unseen = vec![package.to_owned()];
        while let Some(package) = unseen.pop() {
            let output =
                output_of(
                    self.command("apt-cache")
                        .args(["depends", "--important", &package]),
                )?;
            for line in output.lines() {
                let Some(name) = line.trim().strip_prefix("Depends: ") else {
                    continue;
                };
                let needed = name.starts_with("lib") && !name.starts_with("libllvm");
                if needed && !is_installed(name) && missing.insert(name.to_owned()) {
                    unseen.push(name.to_owned());
                }
            }
        }
        Ok(missing.into_iter().collect())
    }

    /// The size of the packages' files.
    fn size(&self, packages: &[String]) -> Result<u64, String> {
        let output = output_of(
            self.command("apt-cache")
                .args(["show", "--no-all-versions"])
                .args(packages),
        )?;
        Ok(output
            .lines()
            .filter_map(|line| line.strip_prefix("Size: ")?.trim().parse::<u64>().ok())
            .sum())
    }
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    output_of(query.args(["-W", "-f", "${db:Status-Status}\n", package]))
        .is_ok_and(|status| status.lines().any(|line| line == "installed"))
}
