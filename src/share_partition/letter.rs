//! Records of dead-letter queues (KIP-1191): where a record came from, why it was given up, and the record itself if that is
//! wished.

use bytes::Bytes;

use super::state::{Cause, DeadLetter};
use crate::types::{Ms, Offset};
use crate::wire::records::BatchBuilder;

/// What a record takes at most besides key, value and headers.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// Where dead letters come from.
pub(super) struct From<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) group: &'a str,
}

/// Key and value of a record; none where it is not copied, or not there any more.
pub(super) type Copied = (Option<Bytes>, Option<Bytes>);

/// One batch with the letters from `first` on, up to `last` or as many as fit into `bytes_max`, at least one. Gives the batch
/// and the offset of the last letter in it.
pub(super) fn batch(
    from: &From<'_>,
    letter: &DeadLetter,
    (first, last): (Offset, Offset),
    copy: impl Fn(Offset) -> Copied,
    bytes_max: usize,
    now: Ms,
) -> (Vec<u8>, Offset) {
    let why = match letter.cause {
        Cause::Rejected => "Offset rejected by client.",
        Cause::DeliveryCount => "Offset delivery count exceeded the threshold.",
    };
    let (partition, count) = (from.partition.to_string(), letter.count.to_string());
    let mut builder = BatchBuilder::new(0);
    let mut done = first;
    for offset in first..=last {
        let (key, value) = copy(offset);
        let at = offset.to_string();
        let headers: [(&str, &str); 6] = [
            ("__dlq.errors.topic", from.topic),
            ("__dlq.errors.partition", &partition),
            ("__dlq.errors.offset", &at),
            ("__dlq.errors.group", from.group),
            ("__dlq.errors.delivery.count", &count),
            ("__dlq.errors.message", why),
        ];
        let headers = headers.map(|(name, text)| (name.as_bytes(), Some(text.as_bytes())));
        let own: usize =
            headers.iter().map(|(name, text)| name.len() + text.map_or(0, <[u8]>::len) + 6).sum();
        let copied = key.as_ref().map_or(0, Bytes::len) + value.as_ref().map_or(0, Bytes::len);
        if offset > first && builder.bytes() + own + copied + RECORD_OVERHEAD_BYTES > bytes_max {
            break;
        }
        builder.append_with_headers(now, key.as_deref(), value.as_deref(), &headers);
        done = offset;
    }
    (builder.finish(), done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::Batch;
    use crate::wire::records::Records;

    #[test]
    fn letters_say_where_they_come_from_and_why() {
        let letter = DeadLetter { first: 5, last: 9, count: 3, cause: Cause::Rejected };
        let from = From { topic: "t", partition: 2, group: "g" };
        let copy = |offset| (None, (offset == 5).then(|| Bytes::from_static(b"v")));
        let (bytes, last) = batch(&from, &letter, (5, 9), copy, 1 << 20, 77);
        assert_eq!(last, 9);
        let batch = Batch::first_of(&bytes).expect("a batch");
        let records: Vec<_> = Records::of(&batch).expect("plain").map(|r| r.expect("a record")).collect();
        assert_eq!(records.len(), 5);
        assert_eq!((records[0].key, records[0].value), (None, Some(&b"v"[..])));
        let headers: Vec<_> = records[1]
            .headers
            .map(|(name, text)| format!("{}={}", name.escape_ascii(), text.unwrap_or(b"").escape_ascii()))
            .collect();
        assert_eq!(
            headers,
            [
                "__dlq.errors.topic=t",
                "__dlq.errors.partition=2",
                "__dlq.errors.offset=6",
                "__dlq.errors.group=g",
                "__dlq.errors.delivery.count=3",
                "__dlq.errors.message=Offset rejected by client.",
            ]
        );
    }

    #[test]
    fn batches_are_no_larger_than_the_queue_takes_unless_one_record_is() {
        let letter = DeadLetter { first: 0, last: 9, count: 5, cause: Cause::DeliveryCount };
        let from = From { topic: "t", partition: 0, group: "g" };
        let copy = |_| (None, Some(Bytes::from(vec![0; 1000])));
        let (bytes, last) = super::batch(&from, &letter, (0, 9), copy, 3000, 0);
        assert!((0..9).contains(&last), "{last}");
        assert!(bytes.len() <= 3000);
        assert_eq!(super::batch(&from, &letter, (4, 9), copy, 10, 0).1, 4);
    }
}
