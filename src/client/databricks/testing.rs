//! A workspace on loopback, for tests.

use super::{Databricks, Target};
pub(crate) use crate::client::http::testing::{Answer, Request, Server};

impl Server {
    /// A client of it.
    pub(crate) fn client(&self) -> Databricks {
        Databricks::new(Target::ambient().host(Some(self.host.clone())).token("dapi-secret"))
    }
}
