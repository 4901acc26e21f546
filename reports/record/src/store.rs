//! Files that are written whole or not at all. Not here: what is in them.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`: whole and synced before it has a name. The old content stays until then.
///
/// The file is made without a name (O_TMPFILE), so that a process that is killed half-way leaves nothing. A file that replaces
/// another is named beside it first, since link(2) cannot replace: killed between the two, a whole file with that name stays.
///
/// A symbolic link stays one: what it leads to is replaced. What is no regular file (`/dev/null`, `/dev/stdout`, a FIFO) is written
/// to as it is, since a new file in its place would take the device away from everybody.
///
/// # Errors
/// Those of creating, writing, syncing and renaming.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => File::options().write(true).open(path)?.write_all(bytes),
        Ok(_) => replace(&path.canonicalize()?, bytes),
        Err(_) => replace(path, bytes),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match nameless(folder) {
        Ok(file) => {
            fill(&file, bytes)?;
            name(&file, path)?;
        }
        // Some file systems have no nameless files (overlay, NFS): a temporary name, then.
        Err(error) if matches!(error.raw_os_error(), Some(OPNOTSUPP | ISDIR | NOENT)) && folder.is_dir() => {
            // A temporary file is private by default, and keeps that through the rename.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            let file = tempfile::Builder::new().prefix(".partial-").permissions(mode).tempfile_in(folder)?;
            fill(file.as_file(), bytes)?;
            file.persist(path).map_err(|e| e.error)?;
        }
        Err(error) => return Err(error),
    }
    File::open(folder)?.sync_all()
}

const OPNOTSUPP: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();
const ISDIR: i32 = rustix::io::Errno::ISDIR.raw_os_error();
const NOENT: i32 = rustix::io::Errno::NOENT.raw_os_error();

fn nameless(folder: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    Ok(openat(CWD, folder, OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode)?.into())
}

fn fill(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

fn name(file: &File, path: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, own.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => {
            let beside = beside(path);
            // Left by a process that was killed and had our number.
            let _ = std::fs::remove_file(&beside);
            linkat(CWD, own.as_str(), CWD, &beside, AtFlags::SYMLINK_FOLLOW)?;
            std::fs::rename(&beside, path)
        }
        Err(error) => Err(error.into()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_leads_to_what_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("x.json"), folder.path().join("latest"));
        write(&path, b"one").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(link.is_symlink());
    }

    #[test]
    fn what_is_no_file_is_written_to_and_not_replaced() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path)
        });
        write(&path, b"through").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), b"through");
        assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
        assert!(write(folder.path(), b"").is_err(), "a folder");
    }

    #[test]
    fn says_when_the_folder_is_missing() {
        assert!(write(Path::new("/nonexistent/x"), b"").is_err());
    }
}
