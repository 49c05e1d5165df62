//! What a stack needs of Fabric and of the gateway before its models and reports can be published. Changes nothing.

use std::collections::BTreeSet;

use crate::{
    client::fabric::{Fabric, Sort, Target},
    local::doctor::Check,
    resource::{
        Model, Report,
        model::{Source, read_spec},
    },
    stack::Stack,
};

const GATEWAY: &str = "the README's section on Power BI says how the gateway, its DSN and the connection are made";

/// Checks what the stack's models and reports need; nothing where there are none.
pub(super) async fn checks(stack: &Stack) -> Vec<Check> {
    let models: Vec<(String, Model)> = stack
        .resources
        .iter()
        .filter(|it| it.0.kind == "model")
        .filter_map(|(address, it)| Some((address.to_string(), read_spec(&it.spec).ok()?)))
        .collect();
    let reports = stack.resources.iter().filter(|it| it.0.kind == "report");
    let reports = reports.filter_map(|it| read_spec::<Report>(&it.1.spec).ok()?.workspace);
    let workspaces: BTreeSet<String> = models.iter().filter_map(|it| it.1.workspace.clone()).chain(reports).collect();
    let fabric = Fabric::new(Target::ambient());
    let mut checks = Vec::new();
    for it in &workspaces {
        checks.push(match fabric.items(it, Sort::Model).await {
            Ok(models) => good("workspace", format!("{it}, with {} models", models.len())),
            Err(err) => bad(
                "workspace",
                format!("{it}: {}", err.message),
                "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal that is a contributor \
                 of the workspace; the tenant must let service principals use Fabric's API"
                    .to_owned(),
                true,
            ),
        });
    }
    for (address, model) in &models {
        checks.push(connection(&fabric, address, model).await);
    }
    checks
}

async fn connection(fabric: &Fabric, address: &str, model: &Model) -> Check {
    let wanted = model.source.details();
    let Some(id) = &model.connection else {
        let problem = format!("{address} names none, so the service reads only what somebody bound by hand");
        let needs_gateway = matches!(model.source, Source::Athena(_));
        let fix = if needs_gateway { GATEWAY } else { "make one in Fabric, and name its GUID as `connection`" };
        return bad("connection", problem, fix.to_owned(), false);
    };
    match fabric.connection_of(id).await {
        Ok(it) if it.connection_details == wanted => {
            good("connection", format!("{address}: {} {}", wanted.sort, wanted.path))
        }
        Ok(it) => {
            let there = it.connection_details;
            let problem = format!(
                "{address}: {id} leads to {} `{}`, and the model asks {} `{}`",
                there.sort, there.path, wanted.sort, wanted.path
            );
            bad("connection", problem, GATEWAY.to_owned(), true)
        }
        Err(err) => {
            let fix = format!("share the connection with the service principal; {GATEWAY}");
            bad("connection", format!("{address}: {id}: {}", err.message), fix, true)
        }
    }
}

fn good(name: &'static str, found: String) -> Check {
    Check { name, purpose: "Power BI", needed: true, found: Some(found), problem: None, fix: None }
}

fn bad(name: &'static str, problem: String, fix: String, needed: bool) -> Check {
    Check { name, purpose: "Power BI", needed, found: None, problem: Some(problem), fix: Some(fix) }
}
