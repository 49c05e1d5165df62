//! `ecomctl cost`: what a stack costs each month as far as that follows from its file.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use crate::{
    address::Address,
    command::{
        Exit, Global, Result, error,
        error::Problem,
        project::{Project, StackArg},
    },
    local::REGION,
    report::terminal::table,
    stack::{Stack, Target},
};

mod prices;
mod rate;

use prices::{Prices, Table};
use rate::{Charge, charge};

/// Estimate what a stack costs each month, as far as its file tells
///
/// Counts what is charged by the hour or the month, by the prices in `templates/prices.toml`, which say their date. What is
/// charged by use, and what that table has no price for, is named and left out. Asks nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl cost staging
  ecomctl cost production --json | jq .total
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
}

/// What a stack costs.
#[derive(Debug, Default)]
struct Estimate {
    /// What each resource costs in a month, in US dollars, and what for.
    lines: Vec<(Address, f64, String)>,
    /// What is left out, by the reason.
    left_out: BTreeMap<String, Vec<Address>>,
}

/// Estimates, and shows.
///
/// # Errors
/// Says that the stack costs nothing, or that there are no prices for its region.
#[expect(clippy::unused_async, reason = "all verbs look alike")]
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let terminal = global.terminal();
    let project = Project::open(global)?;
    let stack = project.load(&args.stack.stack)?;
    if stack.settings.target == Target::Local {
        let message = format!("`{}` lives on this machine, where nothing is charged", stack.name);
        return Err(Problem::Usage { message, help: None }.into());
    }
    let region = stack.settings.region.clone().or_else(|| global.access.region.clone());
    let region = region.unwrap_or_else(|| REGION.to_owned());
    let path = project.root.join("templates/prices.toml");
    let all = read(&path)?;
    let Some(prices) = all.regions.get(&region) else {
        let known = all.regions.keys().cloned().collect::<Vec<_>>().join(", ");
        let message = format!("there are no prices for {region}, only for {known}");
        let help = Some(format!("add `[regions.{region}]` to templates/prices.toml"));
        return Err(Problem::Usage { message, help }.into());
    };
    let estimate = estimate(&stack, prices, &project.root.join("templates"));
    terminal.tell(&estimate.json(&stack.name, &region, &all), &estimate.text(&stack.name, &region, &all, terminal.out));
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).map_err(error::file("read", path))?;
    toml::from_str(&text).map_err(|err| {
        let message = format!("{} cannot be used: {}", path.display(), err.to_string().trim_end());
        Problem::Usage { message, help: None }.into()
    })
}

fn estimate(stack: &Stack, prices: &Prices, templates: &Path) -> Estimate {
    let mut estimate = Estimate::default();
    for (address, definition) in &stack.resources {
        match charge(&address.kind, &definition.spec, prices, templates) {
            Charge::Monthly(dollars, what) => estimate.lines.push((address.clone(), dollars, what)),
            Charge::Free => (),
            Charge::LeftOut(why) => estimate.left_out.entry(why).or_default().push(address.clone()),
        }
    }
    estimate.lines.sort_by(|a, b| b.1.total_cmp(&a.1));
    estimate
}

impl Estimate {
    fn total(&self) -> f64 {
        self.lines.iter().map(|it| it.1).sum()
    }

    fn text(&self, stack: &str, region: &str, all: &Table, style: crate::report::Style) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        // Many alike are one line: what costs little is not worth a page.
        let mut alike: BTreeMap<(String, &str), (usize, f64)> = BTreeMap::new();
        for (address, dollars, what) in &self.lines {
            if *dollars < 5.0 {
                let seen = alike.entry((address.kind.clone(), what)).or_default();
                *seen = (seen.0 + 1, seen.1 + dollars);
            } else {
                rows.push(vec![address.to_string(), amount(*dollars), what.clone()]);
            }
        }
        let mut small: Vec<_> = alike.into_iter().collect();
        small.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
        rows.extend(small.into_iter().map(|((kind, what), (number, dollars))| {
            vec![format!("{kind} × {number}"), amount(dollars), what.to_owned()]
        }));
        rows.push(vec!["together".into(), amount(self.total()), String::new()]);
        let date = all.as_of.to_string();
        let mut parts = vec![
            format!("{stack} in {region}, US dollars a month of {} hours, by prices of {date}", rate::HOURS),
            table(&["", "monthly", "for"], rows, style),
        ];
        let left = self.left_out.iter().map(|(why, all)| format!("  {why}: {}", named(all)));
        let left = left.collect::<Vec<_>>().join("\n");
        parts.push(format!(
            "Left out, so that the bill will be higher:\n{left}\n  taxes, support, free tiers, discounts"
        ));
        parts.push(format!("Prices: templates/prices.toml ({})", all.source));
        parts.join("\n\n")
    }

    fn json(&self, stack: &str, region: &str, all: &Table) -> Value {
        let lines = self
            .lines
            .iter()
            .map(|(address, dollars, what)| json!({ "address": address, "monthly": cents(*dollars), "for": what }));
        let left_out =
            self.left_out.iter().flat_map(|(why, all)| all.iter().map(move |it| json!({ "address": it, "why": why })));
        json!({
            "stack": stack, "region": region, "currency": "USD", "hours": rate::HOURS, "as_of": all.as_of.to_string(),
            "source": all.source, "total": cents(self.total()), "resources": lines.collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
        })
    }
}

fn amount(dollars: f64) -> String {
    format!("{dollars:>10.2}")
}

fn cents(dollars: f64) -> f64 {
    (dollars * 100.0).round() / 100.0
}

/// Names a few, and says how many there are.
fn named(all: &[Address]) -> String {
    let few: Vec<_> = all.iter().take(3).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(few.len());
    if more == 0 { few.join(", ") } else { format!("{} and {more} more", few.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::Style, resource::KINDS, stack};

    const ROOT: &str = env!("CARGO_MANIFEST_DIR");

    fn project(text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join("stacks")).expect("created");
        std::fs::write(root.path().join("stacks/s.yaml"), text).expect("written");
        root
    }

    fn of(text: &str, region: &str) -> (Estimate, Table) {
        let stack = stack::load(project(text).path(), "s", KINDS).unwrap_or_else(|err| panic!("{:?}", err.mistakes()));
        let all = read(&Path::new(ROOT).join("templates/prices.toml")).expect("prices");
        (estimate(&stack, &all.regions[region], &Path::new(ROOT).join("templates")), all)
    }

    const SHOP: &str = "\
resources:
  database:
    shop: { engine_version: \"17\", instance_class: db.t4g.medium, storage: 100GiB, name: shop, multi_az: true }
  secret:
    token: { value_from: { env: TOKEN } }
  log_group:
    ingest: {}
  role:
    ingest: {}
";

    #[test]
    fn hours_and_storage_are_counted_twice_with_a_standby() {
        let (estimate, all) = of(SHOP, "us-east-1");
        // 2 × 730 h × 0.065 + 2 × 100 GB × 0.115 + the secret that RDS keeps, and a secret.
        assert!((estimate.total() - (94.90 + 23.0 + 0.40 + 0.40)).abs() < 0.001, "{estimate:?}");
        let json = estimate.json("s", "us-east-1", &all);
        assert_eq!((&json["total"], &json["as_of"]), (&json!(118.7), &json!("2026-11-23")));
        let text = estimate.text("s", "us-east-1", &all, Style::PLAIN);
        assert!(text.contains("118.70") && text.contains("2026-11-23"), "{text}");
        assert!(text.contains("charged by use: log_group.ingest"), "{text}");
        assert!(!text.contains("role.ingest"), "what costs nothing is not worth a word: {text}");
    }

    #[test]
    fn what_has_no_price_is_left_out_and_said_so() {
        let (estimate, _) = of(SHOP, "eu-central-1");
        let why = "no price of `db.t4g.medium` in templates/prices.toml";
        assert_eq!(estimate.left_out[why], [Address::new("database", "shop")]);
        assert!((estimate.total() - 0.40).abs() < 0.001, "{estimate:?}");
    }

    #[test]
    fn alarms_cost_by_the_metrics_that_they_look_at() {
        let templates = Path::new(ROOT).join("templates");
        let all = read(&templates.join("prices.toml")).expect("prices");
        let cost = |template: &str| {
            let spec = json!({ "template": template });
            match charge("alarm", &spec, &all.regions["us-east-1"], &templates) {
                Charge::Monthly(dollars, what) => (cents(dollars), what),
                it => panic!("{it:?}"),
            }
        };
        assert_eq!(cost("alarms/rejected_rate.toml"), (0.2, "2 metrics".to_owned()));
        assert_eq!(cost("alarms/ingest_down.toml"), (0.5, "composite".to_owned()));
    }

    /// A kind that is new must be thought of: it is charged, free, or said to be left out.
    #[test]
    fn every_kind_is_known() {
        let all = read(&Path::new(ROOT).join("templates/prices.toml")).expect("prices");
        for kind in KINDS {
            let found = charge(kind.name(), &json!({}), &all.regions["us-east-1"], Path::new(ROOT));
            assert!(!matches!(&found, Charge::LeftOut(why) if why == rate::UNKNOWN), "{}", kind.name());
        }
    }
}
