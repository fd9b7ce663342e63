//! An exported log: its messages, one after the other, each with its place and its length before
//! it (eight and four bytes, big-endian).

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use devmesh_protocol::batch::Batch;

use crate::error::{Error, Result};

/// The largest message a log may hold.
const MESSAGE_BYTES_MAX: u32 = 1024 * 1024;

/// Writes messages to a file.
pub(crate) struct Writer {
    file: BufWriter<File>,
    path: std::path::PathBuf,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> Result<Writer> {
        let file = File::create(path).map_err(|source| at(path, source))?;
        Ok(Writer { file: BufWriter::new(file), path: path.to_owned() })
    }

    pub(crate) fn put(&mut self, stream_seq: u64, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut write = || {
            self.file.write_all(&stream_seq.to_be_bytes())?;
            self.file.write_all(&length.to_be_bytes())?;
            self.file.write_all(payload)
        };
        write().map_err(|source| at(&self.path, source))
    }

    pub(crate) fn end(mut self) -> Result<()> {
        self.file.flush().map_err(|source| at(&self.path, source))
    }
}

fn at(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

/// Reads all messages of a file, in order.
pub fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    let file = File::open(path).map_err(|source| at(path, source))?;
    let mut file = BufReader::new(file);
    let mut messages = Vec::new();
    loop {
        let message = messages.len() as u64 + 1;
        let cut =
            || Error::Cut { path: path.to_owned(), message: culprit(message, messages.last()) };
        let mut head = [0; 12];
        match fill(&mut file, &mut head).map_err(|source| at(path, source))? {
            0 => return Ok(messages),
            12 => {}
            _ => return Err(cut()),
        }
        let (place, length) = head.split_at(8);
        let place = u64::from_be_bytes(place.try_into().expect("eight of twelve bytes"));
        let length = u32::from_be_bytes(length.try_into().expect("four of twelve bytes"));
        if place != message || length > MESSAGE_BYTES_MAX {
            return Err(cut());
        }
        let mut payload = vec![0; length as usize];
        let got = fill(&mut file, &mut payload).map_err(|source| at(path, source))?;
        if got != payload.len() {
            return Err(cut());
        }
        messages.push(payload);
    }
}

/// Where a message does not begin as it should, the length before the last one may be what is
/// wrong: then that one is no batch.
fn culprit(message: u64, last: Option<&Vec<u8>>) -> u64 {
    let last_is_whole = last.is_none_or(|payload| Batch::decode(payload).is_ok());
    if last_is_whole { message } else { message - 1 }
}

/// Reads until the buffer is full or the file ends, and says how much was read.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
