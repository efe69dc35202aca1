//! What the walk passes over, and the reason it records for it.

use std::io::{self, ErrorKind};
use std::path::Path;

/// The start of every valid `CACHEDIR.TAG` (<https://bford.info/cachedir/>).
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// The reasons that more than one place records.
pub(super) const BINARY: &str = "binary";
pub(super) const BINARY_EXTENSION: &str = "binary-extension";
pub(super) const GREW: &str = "grew-while-read";
pub(super) const LINK: &str = "symlink";
pub(super) const LINK_OUTSIDE: &str = "symlink-outside";
pub(super) const NOT_REGULAR: &str = "not-a-regular-file";
pub(super) const PSEUDO: &str = "pseudo-filesystem";
const READ_ERROR: &str = "read-error";

/// Returns the reason recorded for an error of the system.
pub(super) fn of_error(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "permission-denied",
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::StaleNetworkFileHandle => {
            "vanished"
        }
        ErrorKind::InvalidFilename => "path-too-long",
        _ => match error
            .raw_os_error()
            .map(rustix::io::Errno::from_raw_os_error)
        {
            // Became a link after it was listed.
            Some(rustix::io::Errno::LOOP) => LINK,
            // Sockets, and FIFOs or devices without anybody at the other end.
            Some(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => NOT_REGULAR,
            _ => READ_ERROR,
        },
    }
}

/// Tells whether a reason concerns the content only, so that it does not matter to a detector that
/// did not ask for it.
pub(super) fn is_about_content(reason: &str) -> bool {
    matches!(reason, BINARY | BINARY_EXTENSION | GREW | READ_ERROR)
}

/// Tells why a folder is not entered: by its name, or by the mark that its maker left in it.
pub(super) fn of_directory(path: &Path) -> Option<&'static str> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match name {
        ".git" => Some("git-metadata"),
        "node_modules" | "bower_components" => Some("dependency-directory"),
        "__pycache__" | ".tox" | ".mypy_cache" | ".pytest_cache" | ".ruff_cache" | ".next" => {
            Some("cache-directory")
        }
        _ if is_file(&path.join("pyvenv.cfg")) => Some("virtual-environment"),
        _ if is_tagged_as_cache(path) => Some("cache-directory"),
        _ => None,
    }
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_file())
}

fn is_tagged_as_cache(directory: &Path) -> bool {
    let tag = directory.join("CACHEDIR.TAG");
    let mut start = [0; CACHE_SIGNATURE.len()];
    match super::open_regular(&tag) {
        Ok(Some((mut file, _))) => {
            io::Read::read_exact(&mut file, &mut start).is_ok() && start == *CACHE_SIGNATURE
        }
        _ => false,
    }
}

/// Tells whether a file of this name never holds text.
pub(super) fn has_binary_extension(name: &str) -> bool {
    let Some((_, extension)) = name.rsplit_once('.') else {
        return false;
    };
    let mut lower = [0; 8];
    let Some(lower) = lower.get_mut(..extension.len()) else {
        return false;
    };
    lower.copy_from_slice(extension.as_bytes());
    lower.make_ascii_lowercase();
    matches!(
        &*lower,
        // Images and fonts
        b"png" | b"jpg" | b"jpeg" | b"gif" | b"webp" | b"bmp" | b"ico" | b"cur" | b"tif" | b"tiff"
            | b"psd" | b"heic" | b"avif" | b"jxl" | b"icns" | b"ttf" | b"otf" | b"ttc" | b"woff"
            | b"woff2" | b"eot"
        // Sound and pictures that move
            | b"mp3" | b"mp4" | b"m4a" | b"m4v" | b"mkv" | b"mov" | b"avi" | b"wmv" | b"flv"
            | b"webm" | b"mpg" | b"mpeg" | b"wav" | b"ogg" | b"oga" | b"ogv" | b"opus" | b"flac"
            | b"aac"
        // Archives and packages
            | b"zip" | b"gz" | b"tgz" | b"bz2" | b"tbz2" | b"xz" | b"txz" | b"zst" | b"lz4" | b"br"
            | b"lzma" | b"7z" | b"rar" | b"tar" | b"jar" | b"war" | b"ear" | b"whl" | b"egg"
            | b"gem" | b"crate" | b"nupkg" | b"deb" | b"rpm" | b"apk" | b"ipa" | b"iso" | b"dmg"
            | b"cab" | b"msi"
        // Programs and their parts
            | b"exe" | b"dll" | b"so" | b"dylib" | b"o" | b"obj" | b"a" | b"lib" | b"rlib"
            | b"rmeta" | b"wasm" | b"pyc" | b"pyo" | b"pyd" | b"class" | b"dex" | b"node" | b"pdb"
            | b"beam" | b"elc" | b"mo" | b"gmo"
        // Documents
            | b"pdf" | b"doc" | b"docx" | b"xls" | b"xlsx" | b"ppt" | b"pptx" | b"odt" | b"ods"
            | b"odp" | b"epub"
        // Numbers by the million
            | b"npy" | b"npz" | b"parquet" | b"h5" | b"onnx" | b"pt" | b"pth"
    )
}

/// Tells whether a folder lies on a file system that shows the kernel's state instead of files.
#[cfg(target_os = "linux")]
pub(super) fn is_on_pseudo_filesystem(directory: &Path) -> bool {
    /// Magic numbers from `linux/magic.h`.
    const MAGIC: [u64; 18] = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x1cd1,      // devpts
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0xcafe_4a11, // bpf
        0x6165_676c, // pstore
        0x6265_6570, // configfs
        0xf97c_ff8c, // selinuxfs
        0x4341_5d53, // smackfs
        0x1980_0202, // mqueue
        0x9584_58f6, // hugetlbfs
        0x4249_4e4d, // binfmt_misc
        0xde5e_81e4, // efivarfs
        0x6e73_6673, // nsfs
    ];
    rustix::fs::statfs(directory)
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| MAGIC.contains(&kind)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_on_pseudo_filesystem(_directory: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_of_binary_files() {
        for name in ["a.png", "A.PNG", "x.tar.gz", ".hidden.zip", "lib.so"] {
            assert!(has_binary_extension(name), "{name}");
        }
        for name in [
            "a.ts",
            "a.svg",
            "png",
            "a.",
            "a.pem",
            "a.p12x",
            "a.superlongextension",
            "",
        ] {
            assert!(!has_binary_extension(name), "{name}");
        }
    }
}
