//! Publishing images: to readers, who take the newest at any time, and to subscribers, who see every change in order.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::metadata::{MetadataDelta, MetadataImage};
use crate::types::Offset;

/// Sees every change of the image. Called in the order of the log, one subscriber after another in the order in which
/// they subscribed, on the task that applies the log: it does what must be done before the next change, and hands on
/// what takes long.
pub type Subscriber = Box<dyn FnMut(&MetadataDelta, &Arc<MetadataImage>) + Send>;

/// The newest image and who wants to know of changes. Clones share it.
#[derive(Clone)]
pub struct Publisher {
    image: Arc<ArcSwap<MetadataImage>>,
    offset: Arc<watch::Sender<Offset>>,
    subscribers: Arc<Mutex<Vec<Subscriber>>>,
}

impl Default for Publisher {
    fn default() -> Self {
        Publisher::new()
    }
}

impl Publisher {
    /// With the empty image.
    pub fn new() -> Publisher {
        Publisher {
            image: Arc::new(ArcSwap::from_pointee(MetadataImage::empty())),
            offset: Arc::new(watch::Sender::new(-1)),
            subscribers: Arc::default(),
        }
    }

    /// The newest image.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// Where the newest image always lies, for readers on hot paths.
    pub fn shared(&self) -> Arc<ArcSwap<MetadataImage>> {
        self.image.clone()
    }

    /// Adds a subscriber behind those that are there. It is called at once with all there is, as a snapshot, if there is
    /// anything; so nothing is missed.
    pub fn subscribe(&self, mut subscriber: Subscriber) {
        let mut subscribers = self.subscribers.lock();
        let image = self.image();
        if image.offset() >= 0 {
            subscriber(&MetadataDelta::of_snapshot(&MetadataImage::empty(), &image), &image);
        }
        subscribers.push(subscriber);
    }

    /// Waits until the image has at least the record at `offset`.
    pub async fn wait_for(&self, offset: Offset) -> Arc<MetadataImage> {
        // The sender lives in `self`, so waiting cannot fail.
        let mut applied = self.offset.subscribe();
        let reached = applied.wait_for(|now| *now >= offset).await.is_ok();
        debug_assert!(reached, "the sender is there as long as the publisher");
        self.image()
    }

    /// Makes `image` the newest, after the subscribers have seen it: who reads that a topic is there must find its
    /// partitions led. Meanwhile a partition may be led that readers do not see yet, and nobody is sent to it. An empty
    /// delta only moves the offset.
    pub(super) fn publish(&self, delta: &MetadataDelta, image: MetadataImage) {
        let offset = image.offset();
        let image = Arc::new(image);
        let mut subscribers = self.subscribers.lock();
        if !delta.is_empty() || delta.is_snapshot {
            for subscriber in subscribers.iter_mut() {
                subscriber(delta, &image);
            }
        }
        // Under the lock: who subscribes meanwhile must find the image that it was not called for.
        self.image.store(image);
        drop(subscribers);
        self.offset.send_replace(offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn subscribers_see_what_was_before_them_and_readers_can_wait() {
        let publisher = Publisher::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let subscribe = |name: &'static str| {
            let seen = seen.clone();
            publisher.subscribe(Box::new(move |delta, image| {
                seen.lock().push((name, delta.is_snapshot, image.offset()));
            }));
        };
        subscribe("a");
        let mut image = MetadataImage::empty();
        image.set_position(3, 1);
        let mut delta = MetadataDelta::default();
        delta.features = true;
        publisher.publish(&delta, image.clone());
        subscribe("b");
        image.set_position(5, 1);
        publisher.publish(&delta, image);
        let expected = [("a", false, 3), ("b", true, 3), ("a", false, 5), ("b", false, 5)];
        assert_eq!(*seen.lock(), expected);
        assert_eq!(publisher.wait_for(4).await.offset(), 5);
    }

    #[test]
    fn readers_see_an_image_once_its_replicas_are_there() {
        let publisher = Publisher::new();
        let (readers, seen) = (publisher.clone(), Arc::new(Mutex::new(Vec::new())));
        let subscriber_saw = seen.clone();
        publisher.subscribe(Box::new(move |_, image| {
            subscriber_saw.lock().push((readers.image().offset(), image.offset()));
        }));
        let mut image = MetadataImage::empty();
        for offset in [3, 5] {
            image.set_position(offset, 1);
            let delta = MetadataDelta { features: true, ..MetadataDelta::default() };
            publisher.publish(&delta, image.clone());
            assert_eq!(publisher.image().offset(), offset);
        }
        assert_eq!(*seen.lock(), [(-1, 3), (3, 5)], "what readers see while a subscriber is called");
    }
}
