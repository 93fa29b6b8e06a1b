//! From the archive of Debian or Ubuntu: download the package and unpack it, without installing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Order, Staging, output_of};

/// Downloads the distribution's Postgres and what it needs beyond what is installed.
pub(super) fn fetch(order: &Order<'_>) -> Result<(), String> {
    output_of(order.command("apt-get").arg("--version"))?;
    let apt = |own_lists| Apt { order, own_lists };
    // An image often comes without the lists of packages, or with outdated ones: then our own are fetched.
    apt(None).download().or_else(|_| {
        let lists = order.cache.join("apt");
        let apt = apt(Some(lists.clone()));
        let fetched = apt.update().and_then(|()| apt.download());
        let _ = fs::remove_dir_all(lists);
        fetched
    })
}

struct Apt<'a> {
    order: &'a Order<'a>,
    /// Where our own lists of packages are, which takes no rights; else the system's are used.
    own_lists: Option<PathBuf>,
}

impl Apt<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = self.order.command(program);
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

    fn update(&self) -> Result<(), String> {
        let Some(dir) = &self.own_lists else {
            return Ok(());
        };
        (self.order.announce)(
            "Fetching the lists of packages with apt-get, to find PostgreSQL (some 10 MB; nothing is installed)",
        );
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(part))
                .map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        }
        output_of(self.command("apt-get").args(["-qq", "update"])).map(drop)
    }

    fn download(&self) -> Result<(), String> {
        let cache = self.order.cache;
        let package = self.server_package()?;
        let mut packages = vec![package.clone()];
        packages.extend(self.missing_libraries(&package)?);
        let staging = Staging::new(cache, &format!("debian-{package}"))?;
        let size = self.size(&packages)?;
        if size == 0 {
            return Err(format!("the lists of packages do not have {package}"));
        }
        (self.order.announce)(&format!(
            "No PostgreSQL here; fetching {package} ({} MB) with apt-get into {} (LEADMILL_PG_FETCH=never forbids it)",
            size.div_ceil(1_000_000),
            cache.display()
        ));

        staging.fill(
            self.command("apt-get")
                .args(["-qq", "download"])
                .args(&packages),
            size,
        )?;
        let files = fs::read_dir(&staging.dir).map_err(|error| error.to_string())?;
        let debs: Vec<PathBuf> = files
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect();
        for deb in debs {
            output_of(
                self.order
                    .command("dpkg-deb")
                    .arg("-x")
                    .arg(&deb)
                    .arg(&staging.dir),
            )?;
            let _ = fs::remove_file(deb);
        }
        staging.finish()?;
        (self.order.announce)(&format!("Fetched {package}"));
        Ok(())
    }

    /// The package of the version that is needed, else of the one that the distribution prefers, such as `postgresql-15`.
    fn server_package(&self) -> Result<String, String> {
        if let Some(major) = self.order.major {
            return Ok(format!("postgresql-{major}"));
        }
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
                if needed && !self.is_installed(name) && missing.insert(name.to_owned()) {
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

    fn is_installed(&self, package: &str) -> bool {
        let mut query = self.order.command("dpkg-query");
        output_of(query.args(["-W", "-f", "${db:Status-Status}\n", package]))
            .is_ok_and(|status| status.lines().any(|line| line == "installed"))
    }
}
