//! `.txnindex`: the aborted transactions that end in a segment, in the order of their markers (KIP-98).

use super::producer_state::CompletedTxn;
use crate::types::{Offset, ProducerId};

/// An aborted transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbortedTxn {
    /// Whose it was.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its marker.
    pub last_offset: Offset,
    /// The last stable offset after the marker: no transaction that began below it is open or unlisted.
    pub last_stable_offset: Offset,
}

impl From<CompletedTxn> for AbortedTxn {
    fn from(txn: CompletedTxn) -> AbortedTxn {
        AbortedTxn {
            producer_id: txn.producer_id,
            first_offset: txn.first_offset,
            last_offset: txn.last_offset,
            last_stable_offset: txn.last_stable_offset,
        }
    }
}

const VERSION: i16 = 0;

impl AbortedTxn {
    /// Bytes of an entry in the file.
    pub const BYTES: usize = 34;

    /// The entry as Kafka writes it.
    pub fn encode(&self) -> [u8; AbortedTxn::BYTES] {
        let mut out = [0; AbortedTxn::BYTES];
        out[..2].copy_from_slice(&VERSION.to_be_bytes());
        let fields = [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        for (slot, field) in out[2..].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
        out
    }

    /// The entry in `bytes`; `None` unless they are one whole entry of a known version that makes sense.
    pub fn decode(bytes: &[u8]) -> Option<AbortedTxn> {
        let bytes: &[u8; AbortedTxn::BYTES] = bytes.try_into().ok()?;
        if i16::from_be_bytes([bytes[0], bytes[1]]) != VERSION {
            return None;
        }
        let field = |i: usize| {
            let mut raw = [0; 8];
            raw.copy_from_slice(&bytes[2 + 8 * i..10 + 8 * i]);
            i64::from_be_bytes(raw)
        };
        let txn = AbortedTxn {
            producer_id: field(0),
            first_offset: field(1),
            last_offset: field(2),
            last_stable_offset: field(3),
        };
        (txn.producer_id >= 0 && txn.first_offset >= 0 && txn.first_offset <= txn.last_offset).then_some(txn)
    }

    /// All entries of a file; `None` if one of them is broken or out of order.
    pub fn decode_all(bytes: &[u8]) -> Option<Vec<AbortedTxn>> {
        let chunks = bytes.chunks_exact(AbortedTxn::BYTES);
        if !chunks.remainder().is_empty() {
            return None;
        }
        let all: Vec<AbortedTxn> = chunks.map(AbortedTxn::decode).collect::<Option<_>>()?;
        all.is_sorted_by_key(|txn| txn.last_offset).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_both_ways_and_broken_ones_are_refused() {
        let txn = AbortedTxn { producer_id: 5, first_offset: 506, last_offset: 511, last_stable_offset: 512 };
        let bytes = txn.encode();
        assert_eq!(AbortedTxn::decode(&bytes), Some(txn));
        assert_eq!(AbortedTxn::decode(&bytes[..33]), None);
        let mut two = bytes.to_vec();
        two.extend_from_slice(&bytes);
        assert_eq!(AbortedTxn::decode_all(&two).unwrap().len(), 2);
        two.pop();
        assert_eq!(AbortedTxn::decode_all(&two), None);
        assert_eq!(AbortedTxn::decode(&[1; 34]), None);
    }
}
