//! Which server this folder was last seen to be, outside the database.
//!
//! **Invariant**: a database that is empty, another server's or older than it was is not
//! served as if nothing had happened: a client would take it for a forgery, and rightly.

use keystead_channel::session::ServerId;
use keystead_daemon::{Disk, FolderDisk};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::rows::Head;

/// What is remembered, a database each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    version: u32,
    databases: Vec<Database>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    /// Its address, without a password.
    address: String,
    server_id: String,
    epoch: u32,
    size: u64,
}

impl Known {
    /// Reads what is remembered.
    pub(crate) fn load(disk: &FolderDisk) -> Result<Self, Failure> {
        let Some(bytes) = disk.read(FILE)? else {
            return Ok(Self {
                version: VERSION,
                databases: Vec::new(),
            });
        };
        serde_json::from_slice(&bytes).map_err(|error| {
            let hint = format!("remove {FILE} if you are sure of the database");
            Failure::new(format!("{FILE} cannot be read: {error}"), hint)
        })
    }

    /// Whether the database at `address` is the one that it was.
    pub(crate) fn check(&self, address: &str, found: ServerId, head: &Head) -> Result<(), Failure> {
        let address = without_password(address);
        let Some(known) = self.databases.iter().find(|it| it.address == address) else {
            return Ok(());
        };
        if known.server_id != found.to_string() {
            let was = &known.server_id;
            return Err(Failure::new(
                format!("the database is not that of server {was} any more"),
                format!(
                    "restore a backup; to begin anew remove {FILE}, and every client must register again"
                ),
            ));
        }
        if (head.epoch, head.size) < (known.epoch, known.size) {
            return Err(Failure::new(
                format!(
                    "the database went back: it has {} log entries in epoch {}, and had {} in {}",
                    head.size, head.epoch, known.size, known.epoch
                ),
                "put a backup in place with `keystead-server restore`, which tells the clients",
            ));
        }
        Ok(())
    }

    /// The highest epoch that the database at `address` had.
    pub(crate) fn epoch(&self, address: &str) -> Option<u32> {
        let address = without_password(address);
        let known = self.databases.iter().find(|it| it.address == address);
        known.map(|known| known.epoch)
    }

    /// Remembers how it is now.
    pub(crate) fn keep(
        &mut self,
        disk: &mut FolderDisk,
        address: &str,
        server: ServerId,
        (epoch, size): (u32, u64),
    ) -> std::io::Result<()> {
        let address = without_password(address);
        let now = Database {
            address: address.clone(),
            server_id: server.to_string(),
            epoch,
            size,
        };
        if self.databases.contains(&now) {
            return Ok(());
        }
        self.databases.retain(|it| it.address != address);
        self.databases.push(now);
        disk.replace(FILE, &serde_json::to_vec_pretty(self)?)
    }
}

/// `postgres://user:password@host/name` without `:password`, and without parameters.
fn without_password(address: &str) -> String {
    let plain = address.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else {
        return plain.to_owned();
    };
    match rest.rsplit_once('@') {
        None => plain.to_owned(),
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
    }
}

/// In the server's folder.
pub(crate) const FILE: &str = "known.json";

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "postgres://keys:secret@db/keys?sslmode=require";

    fn head(epoch: u32, size: u64) -> Head {
        Head {
            epoch,
            size,
            ..Head::default()
        }
    }

    #[test]
    fn a_database_that_went_back_or_was_swapped_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = FolderDisk::open_named(folder.path()).unwrap();
        let (server, other) = (ServerId([1; 16]), ServerId([2; 16]));
        let mut known = Known::load(&disk).unwrap();
        known.check(ADDRESS, server, &head(0, 0)).unwrap();
        known.keep(&mut disk, ADDRESS, server, (1, 50)).unwrap();
        let known = Known::load(&disk).unwrap();
        assert_eq!(known.epoch("postgres://keys@db/keys"), Some(1));
        assert_eq!(known.epoch("sqlite:x"), None);
        let says = |server, epoch, size, part: &str| match known.check(
            ADDRESS,
            server,
            &head(epoch, size),
        ) {
            Ok(()) => assert_eq!(part, "", "{epoch} {size}"),
            Err(failure) => assert!(failure.message.contains(part), "{failure:?}"),
        };
        says(server, 1, 50, "");
        says(server, 1, 51, "");
        says(server, 2, 3, "");
        says(server, 1, 49, "went back");
        says(server, 0, 90, "went back");
        says(other, 9, 99, "not that of server 0101");
        known.check("sqlite:other.db", other, &head(0, 0)).unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn passwords_are_left_out() {
        for (address, plain) in [
            ("sqlite:keystead.db", "sqlite:keystead.db"),
            ("postgres://db/keys", "postgres://db/keys"),
            ("postgres://u@db/keys", "postgres://u@db/keys"),
            ("postgres://u:p@db:5/keys?a=b", "postgres://u@db:5/keys"),
            ("postgres://u:p@x@db/keys", "postgres://u@db/keys"),
        ] {
            assert_eq!(without_password(address), plain);
        }
    }
}
