//! Committed entries, applied to the image and published. Knows nothing of how they were committed: voters and observers
//! apply by the same code.

use std::io;

use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::metadata::MetadataRecord;
use crate::types::{LeaderEpoch, Offset};

use super::publish::Publisher;
use super::types::Payload;

/// The image on its way.
pub(super) struct Applier {
    publisher: Publisher,
    image: MetadataImage,
    /// What has changed since the last publication.
    delta: MetadataDelta,
    /// Image and delta from before a metadata transaction that has begun and not ended (KIP-868). Only logs that Kafka
    /// wrote have them.
    before_transaction: Option<Box<(MetadataImage, MetadataDelta)>>,
}

impl Applier {
    /// With the empty image.
    pub(super) fn new(publisher: Publisher) -> Applier {
        Applier {
            publisher,
            image: MetadataImage::empty(),
            delta: MetadataDelta::default(),
            before_transaction: None,
        }
    }

    /// The image with all that was applied, published or not.
    pub(super) fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Offset after the last record that was applied.
    pub(super) fn end(&self) -> Offset {
        self.image.offset() + 1
    }

    /// True within a metadata transaction, when there is no image to keep.
    pub(super) fn in_transaction(&self) -> bool {
        self.before_transaction.is_some()
    }

    /// Applies the next entry; returns how many bytes of records it had.
    pub(super) fn apply(&mut self, payload: &Payload, epoch: LeaderEpoch) -> io::Result<u64> {
        let base = self.end();
        let mut bytes = 0;
        if let Payload::Normal(records) = payload {
            for (offset, value) in (base..).zip(records.0.iter()) {
                bytes += value.len() as u64;
                self.apply_record(value).map_err(|why| {
                    let why = format!("the metadata record at offset {offset} cannot be applied: {why}");
                    io::Error::new(io::ErrorKind::InvalidData, why)
                })?;
            }
        }
        self.image.set_position(base + payload.offsets() - 1, epoch);
        Ok(bytes)
    }

    fn apply_record(&mut self, value: &bytes::Bytes) -> Result<(), String> {
        let record = MetadataRecord::decode(value.clone()).map_err(|e| e.to_string())?;
        match &record {
            MetadataRecord::BeginTransaction(_) => {
                if self.before_transaction.is_some() {
                    return Err("a transaction begins within another".to_owned());
                }
                self.before_transaction = Some(Box::new((self.image.clone(), self.delta.clone())));
                Ok(())
            }
            MetadataRecord::EndTransaction(_) => match self.before_transaction.take() {
                Some(_) => Ok(()),
                None => Err("a transaction ends that has not begun".to_owned()),
            },
            MetadataRecord::AbortTransaction(_) => match self.before_transaction.take() {
                Some(before) => {
                    (self.image, self.delta) = *before;
                    Ok(())
                }
                None => Err("a transaction is given up that has not begun".to_owned()),
            },
            _ => self.image.apply(&record, &mut self.delta).map_err(|e| e.to_string()),
        }
    }

    /// Publishes what was applied, unless that is half a transaction.
    pub(super) fn publish(&mut self) {
        if self.before_transaction.is_some() {
            return;
        }
        let delta = std::mem::replace(&mut self.delta, MetadataDelta::from(&self.image));
        self.publisher.publish(&delta, self.image.clone());
    }

    /// Goes to a snapshot's image and publishes it.
    pub(super) fn install(&mut self, image: MetadataImage) {
        let before = self.publisher.image();
        self.before_transaction = None;
        self.image = image;
        self.delta = MetadataDelta::from(&self.image);
        self.publisher.publish(&MetadataDelta::of_snapshot(&before, &self.image), self.image.clone());
    }
}
