//! Schedules: EventBridge Scheduler's groups and schedules, and the clock that invokes functions at their times.
//!
//! Functions are the only targets. The roles are not looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{select, sync::Notify, task::JoinSet, time::sleep};

use super::{
    call::{Call, Fault, Reply},
    record::Records,
    upstream::Upstream,
};

mod fire;
mod record;
mod time;

use record::{Group, Input, Schedule};

/// The group of schedules that name none.
const DEFAULT: &str = "default";
/// The most that one page of a list holds.
const PAGE: usize = 100;
/// The longest sleep: the machine's clock may be set meanwhile.
const LONGEST: Duration = Duration::from_secs(30);

/// All groups and schedules, by `<region>/<group>` and `<region>/<group>/<name>`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Book {
    groups: BTreeMap<String, Group>,
    schedules: BTreeMap<String, Schedule>,
}

/// The API of schedules, and their clock.
#[derive(Clone, Debug)]
pub(super) struct ScheduleApi {
    records: Arc<Records<Book>>,
    upstream: Upstream,
    account: Arc<str>,
    pace: Duration,
    changed: Arc<Notify>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

impl Tags {
    fn map(self) -> BTreeMap<String, String> {
        self.tags.into_iter().map(|it| (it.key, it.value)).collect()
    }
}

impl ScheduleApi {
    /// Answers from what was kept. Nothing is invoked before [`ScheduleApi::serve`].
    pub(super) fn new(records: Records<Book>, upstream: Upstream, account: &str, pace: Duration) -> Self {
        Self { records: Arc::new(records), upstream, account: account.into(), pace, changed: Arc::default() }
    }

    /// Finishes deletions that were under way, then invokes what is due, for as long as it is polled. What was due while
    /// nothing ran is not made up.
    pub(super) async fn serve(self) {
        let leaving = self.records.now();
        leaving.groups.iter().filter(|it| it.1.deleting).for_each(|it| self.remove(it.0.clone()));
        // Ends with this future, and everything that it invoked with it.
        let mut under_way = JoinSet::new();
        let mut since = Timestamp::now();
        let mut known: BTreeSet<String> = self.records.now().schedules.keys().cloned().collect();
        loop {
            let (now, book) = (Timestamp::now(), self.records.now());
            for (key, schedule) in &book.schedules {
                // A new one's first time may be the moment at which it was made.
                let from = if known.contains(key) { since } else { schedule.created - Duration::from_millis(1) };
                if let Some(due) = schedule.next(from).filter(|due| *due <= now) {
                    let (api, key, schedule) = (self.clone(), key.clone(), schedule.clone());
                    under_way.spawn(async move { api.fire(&key, &schedule, due).await });
                }
            }
            known = book.schedules.keys().cloned().collect();
            since = now;
            while under_way.try_join_next().is_some() {}
            let soonest = book.schedules.values().filter_map(|it| it.next(now)).min().unwrap_or(now + LONGEST);
            let pause = Duration::try_from(soonest.duration_since(Timestamp::now())).unwrap_or_default();
            select! {
                () = sleep(pause.clamp(Duration::from_millis(5), LONGEST)) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Answers a call.
    pub(super) async fn answer(&self, call: &Call) -> Result<Reply, Fault> {
        let (method, path) = call.route();
        match (method, path.as_slice()) {
            ("GET", ["schedules"]) => self.list_schedules(call),
            ("POST", ["schedules", name]) => self.put(call, name, true).await,
            ("PUT", ["schedules", name]) => self.put(call, name, false).await,
            ("GET", ["schedules", name]) => {
                let group = call.parameter("groupName").unwrap_or(DEFAULT);
                let book = self.records.now();
                let found = book.schedules.get(&format!("{}/{group}/{name}", call.region));
                Ok(Reply::ok(found.ok_or_else(|| missing("Schedule", name))?.show()))
            }
            ("DELETE", ["schedules", name]) => {
                let key = format!("{}/{}/{name}", call.region, call.parameter("groupName").unwrap_or(DEFAULT));
                self.change(|book| book.schedules.remove(&key).ok_or_else(|| missing("Schedule", name))).await?;
                Ok(Reply::ok(json!({})))
            }
            ("GET", ["schedule-groups"]) => self.list_groups(call),
            ("POST", ["schedule-groups", name]) => self.create_group(call, name).await,
            ("GET", ["schedule-groups", name]) => Ok(Reply::ok(self.group(&call.region, name)?.show())),
            ("DELETE", ["schedule-groups", name]) => self.delete_group(call, name).await,
            (_, ["tags", arn]) => self.tags(call, arn).await,
            _ => Err(Fault::new(404, "UnknownOperationException", "There is no such operation.")),
        }
    }

    async fn put(&self, call: &Call, name: &str, is_new: bool) -> Result<Reply, Fault> {
        let input: Input = call.input().map_err(|err| invalid(err.message))?;
        input.check(name)?;
        let group = input.group_name.clone().unwrap_or_else(|| DEFAULT.to_owned());
        if self.group(&call.region, &group)?.deleting {
            return Err(conflict(format!("The schedule group {group} is being deleted.")));
        }
        let key = format!("{}/{group}/{name}", call.region);
        let arn = format!("arn:aws:scheduler:{}:{}:schedule/{group}/{name}", call.region, self.account);
        self.change(|book| {
            let there = book.schedules.get(&key);
            match (is_new, there) {
                // The same token means the same request, whose answer was lost.
                (true, Some(it)) if it.input.client_token.is_some() && it.input == input => return Ok(()),
                (true, Some(_)) => return Err(conflict(format!("Schedule {name} already exists."))),
                (false, None) => return Err(missing("Schedule", name)),
                _ => {}
            }
            let now = Timestamp::now();
            let created = there.map_or(now, |it| it.created);
            let (name, arn) = (name.to_owned(), arn.clone());
            book.schedules.insert(key.clone(), Schedule { name, group, arn, created, modified: now, input });
            Ok(())
        })
        .await?;
        Ok(Reply::ok(json!({ "ScheduleArn": arn })))
    }

    async fn create_group(&self, call: &Call, name: &str) -> Result<Reply, Fault> {
        record::check_name(name)?;
        let tags = call.input::<Tags>().map_err(|err| invalid(err.message))?.map();
        let arn = format!("arn:aws:scheduler:{}:{}:schedule-group/{name}", call.region, self.account);
        let now = Timestamp::now();
        let group =
            Group { name: name.to_owned(), arn: arn.clone(), created: now, modified: now, tags, deleting: false };
        let key = format!("{}/{name}", call.region);
        self.change(|book| match name == DEFAULT || book.groups.contains_key(&key) {
            true => Err(conflict(format!("Schedule group {name} already exists."))),
            false => Ok(book.groups.insert(key, group)),
        })
        .await?;
        Ok(Reply::ok(json!({ "ScheduleGroupArn": arn })))
    }

    async fn delete_group(&self, call: &Call, name: &str) -> Result<Reply, Fault> {
        if name == DEFAULT {
            return Err(invalid("The default schedule group cannot be deleted."));
        }
        let key = format!("{}/{name}", call.region);
        self.change(|book| {
            let group = book.groups.get_mut(&key).ok_or_else(|| missing("Schedule group", name))?;
            if group.deleting {
                return Err(conflict(format!("The schedule group {name} is being deleted.")));
            }
            group.deleting = true;
            Ok(())
        })
        .await?;
        self.remove(key);
        Ok(Reply::ok(json!({})))
    }

    /// Removes a group with its schedules, in the background.
    fn remove(&self, key: String) {
        let api = self.clone();
        tokio::spawn(async move {
            sleep(api.pace).await;
            let removed = api.change(|book| {
                book.groups.remove(&key);
                book.schedules.retain(|it, _| it.strip_prefix(&*key).is_none_or(|rest| !rest.starts_with('/')));
                Ok(())
            });
            if let Err(fault) = removed.await {
                tracing::warn!("the schedule group {key} was not removed: {fault}");
            }
        });
    }

    fn list_schedules(&self, call: &Call) -> Result<Reply, Fault> {
        let prefix = call.parameter("NamePrefix").unwrap_or_default();
        let (group, state) = (call.parameter("ScheduleGroup"), call.parameter("State"));
        let book = self.records.now();
        let wanted = book.schedules.iter().filter(|(key, it)| {
            key.strip_prefix(&*call.region).is_some_and(|rest| rest.starts_with('/'))
                && it.name.starts_with(prefix)
                && group.is_none_or(|group| it.group == group)
                && state.is_none_or(|state| it.input.state == state)
        });
        page(call, "Schedules", wanted.map(|it| it.1.summary()).collect())
    }

    fn list_groups(&self, call: &Call) -> Result<Reply, Fault> {
        let prefix = call.parameter("NamePrefix").unwrap_or_default();
        let book = self.records.now();
        let own =
            book.groups.iter().filter(|it| it.0.strip_prefix(&*call.region).is_some_and(|it| it.starts_with('/')));
        let all = std::iter::once(self.group(&call.region, DEFAULT)?).chain(own.map(|it| it.1.clone()));
        page(call, "ScheduleGroups", all.filter(|it| it.name.starts_with(prefix)).map(|it| it.show()).collect())
    }

    /// Finds a group; the default one is always there.
    fn group(&self, region: &str, name: &str) -> Result<Group, Fault> {
        let found = self.records.now().groups.get(&format!("{region}/{name}")).cloned();
        let arn = format!("arn:aws:scheduler:{region}:{}:schedule-group/{name}", self.account);
        let default = || (name == DEFAULT).then(|| Group::new(name, arn));
        found.or_else(default).ok_or_else(|| missing("Schedule group", name))
    }

    async fn tags(&self, call: &Call, arn: &str) -> Result<Reply, Fault> {
        // Only groups carry tags.
        let name = arn.split_once(":schedule-group/").map_or(arn, |it| it.1);
        let key = format!("{}/{name}", call.region);
        if call.method == http::Method::GET {
            let tags = self.group(&call.region, name)?.tags;
            let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            return Ok(Reply::ok(json!({ "Tags": tags })));
        }
        let new = match call.method == http::Method::POST {
            true => call.input::<Tags>().map_err(|err| invalid(err.message))?.map(),
            false => BTreeMap::new(),
        };
        let gone = call.parameters("TagKeys");
        self.change(|book| {
            let group = book.groups.get_mut(&key).ok_or_else(|| missing("Schedule group", name))?;
            group.tags.extend(new);
            group.tags.retain(|key, _| !gone.contains(&key.as_str()));
            Ok(())
        })
        .await?;
        Ok(Reply::ok(json!({})))
    }

    async fn change<R>(&self, change: impl FnOnce(&mut Book) -> Result<R, Fault>) -> Result<R, Fault> {
        let changed = self.records.change(change).await?;
        self.changed.notify_one();
        Ok(changed)
    }
}

/// Answers with a page of a list.
fn page(call: &Call, name: &str, all: Vec<Value>) -> Result<Reply, Fault> {
    let number = |it: &str| it.parse::<usize>().map_err(|_| invalid(format!("{it} is not a valid number or token.")));
    let size = call.parameter("MaxResults").map(number).transpose()?.unwrap_or(PAGE).clamp(1, PAGE);
    let from = call.parameter("NextToken").map(number).transpose()?.unwrap_or(0);
    let mut answer = json!({ name: all.iter().skip(from).take(size).collect::<Vec<_>>() });
    if from + size < all.len() {
        answer["NextToken"] = (from + size).to_string().into();
    }
    Ok(Reply::ok(answer))
}

fn missing(what: &str, name: &str) -> Fault {
    Fault::new(404, "ResourceNotFoundException", format!("{what} {name} does not exist."))
}

fn conflict(message: String) -> Fault {
    Fault::new(409, "ConflictException", message)
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationException", message)
}
