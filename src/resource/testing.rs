//! What the tests of kinds begin from: a stack `s` in an account of its own, with nothing live.

use std::{collections::BTreeMap, sync::Arc};

use super::{Cx, Lives, Scope};
use crate::{
    client::{
        aws::{Aws, Target},
        databricks::{self, Databricks},
        fabric::{self, Fabric},
    },
    template::Templates,
};

/// Makes a context without templates. Its clients reach nothing.
pub(crate) fn cx() -> Cx {
    cx_with(&[]).0
}

/// Makes a client of the workspace at this address, whatever the environment says.
pub(crate) fn databricks(host: &str) -> Arc<Databricks> {
    Arc::new(Databricks::new(databricks::Target::ambient().host(Some(host.to_owned())).token("x")))
}

/// Makes a client of Fabric at this address, whatever the environment says.
pub(crate) fn fabric(root: &str) -> Arc<Fabric> {
    Arc::new(Fabric::new(fabric::Target::at(root)))
}

/// Makes a context with these templates, which live as long as the folder.
pub(crate) fn cx_with(templates: &[(&str, &str)]) -> (Cx, tempfile::TempDir) {
    let root = tempfile::tempdir().expect("a folder");
    for (path, text) in templates {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file within a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let target = Target {
        region: "us-east-1".into(),
        endpoint: Some("http://127.0.0.1:9".into()),
        keys: Some(("000000000000".into(), "x".into())),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let cx = Cx {
        databricks: databricks("http://127.0.0.1:9"),
        fabric: fabric("http://127.0.0.1:9"),
        aws: Arc::new(runtime.block_on(Aws::connect(&target))),
        scope: Scope { stack: "s".into(), account: "000000000000".into(), region: target.region },
        templates: Arc::new(Templates::new(root.path())),
        artifacts: Arc::default(),
        tags: BTreeMap::new(),
        lives: Lives::default(),
        specs: Arc::default(),
    };
    (cx, root)
}
