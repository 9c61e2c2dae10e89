//! Messages against kafka-protocol, against Kafka's own classes, and against hostile bytes.

mod allocations;
mod dispatch;
mod generate;
mod hostile;
mod java;
mod messages;
mod records;
mod served;
