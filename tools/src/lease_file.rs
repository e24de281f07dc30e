//! The file with which `run` hands its lease to the processes that it starts: readable by their
//! user alone, because whoever has the secret has the GPUs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flexdirect_wire::control::LeaseFile;

use crate::exit::{Code, Failure};

/// The file, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Written(PathBuf);

impl Written {
    /// Writes the file to the user's run-time folder, else to the folder for temporary files.
    pub(crate) fn new(lease: &LeaseFile) -> Result<Self, Failure> {
        let folders = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .into_iter();
        let folders = folders
            .filter(|folder| folder.is_absolute())
            .chain([std::env::temp_dir()]);
        let mut reasons = Vec::new();
        for folder in folders {
            match write(&folder, lease) {
                Ok(path) => return Ok(Self(path)),
                Err(error) => reasons.push(format!("{}: {error}", folder.display())),
            }
        }
        let text = format!(
            "cannot write the lease: {}; set TMPDIR to a folder",
            reasons.join("; ")
        );
        Err(Failure::new(Code::Ours, text))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}

fn write(folder: &Path, lease: &LeaseFile) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let path = folder.join(format!(
        "flexdirect-{:016x}.json",
        u64::from_le_bytes(random)
    ));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let written = serde_json::to_vec(lease).map_err(io::Error::from);
    if let Err(error) = written.and_then(|json| file.write_all(&json)) {
        // The error of the write is the one that matters.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_its_user_reads_it_and_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let lease = LeaseFile {
            server: "127.0.0.1:1".to_owned(),
            lease: 1,
            secret: "00".to_owned(),
            driver_version: 13_050,
            transport: "auto".to_owned(),
            grace_ms: 30_000,
        };
        let file = Written(write(folder.path(), &lease).unwrap());
        let path = file.path().to_owned();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            serde_json::from_slice::<LeaseFile>(&fs::read(&path).unwrap()).unwrap(),
            lease
        );
        drop(file);
        assert!(!path.exists());
    }
}
