//! A range of a log's file: what a read returns and what `sendfile` sends.

use std::io;
use std::sync::Arc;

use crate::env::File;

/// Bytes `position..position + len` of a segment's file.
///
/// The file stays readable while the slice lives, though its segment may have been removed. A truncation
/// (which only happens above the high watermark) can make it shorter: whoever sends it must cope with an
/// early end.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The segment's file.
    pub file: Arc<dyn File>,
    /// Where the bytes begin.
    pub position: u64,
    /// How many there are.
    pub len: u32,
}

impl FileSlice {
    /// The bytes, read now. Fewer than `len` if the file was truncated meanwhile.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len as usize];
        let mut done = 0;
        while done < bytes.len() {
            match self.file.read_at(self.position + done as u64, &mut bytes[done..])? {
                0 => break,
                n => done += n,
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }
}
