//! What concerns who may do what.
//!
//! There is no authorizer, so everybody may do everything; what is asked of access control lists gets the answer that
//! Kafka gives without one.

mod acls;

pub use acls::{CreateAcls, DeleteAcls, DescribeAcls};
