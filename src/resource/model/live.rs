//! A model as the workspace has it: found, read, and how far along the loading of its data is.

use std::collections::BTreeMap;

use futures::future::{try_join, try_join_all};
use serde_json::Value;

use super::{OTHERS, Part, UNREFRESHED, lake, mark::Mark, place, read as definition};
use crate::{
    address::Name,
    client::{
        self, Error,
        fabric::{DataConnection, Item, Loading, Parts, Sort},
    },
    resource::{Cx, Result},
};

/// A model as the workspace has it.
#[derive(Debug)]
pub struct LiveModel {
    pub(super) workspace: String,
    pub(super) item: Item,
    /// As the workspace lists it, where that is not its name.
    pub(super) misnamed: Option<String>,
    /// `null` while this very run waits for its data.
    pub(super) definition: Value,
    /// What identifies the data that its definition asks for.
    pub(super) asks: String,
    pub(super) connections: Vec<DataConnection>,
    /// How far along the loading is that was asked for last; nothing once that is known to be done.
    pub(super) loading: Option<Loading>,
    /// Whether it was this run that asked for it.
    pub(super) began: bool,
    /// The tables that no run has written yet, as far as that matters: there is nothing to load.
    pub(super) unwritten: Vec<String>,
}

impl LiveModel {
    /// Its identifier.
    pub(crate) fn id(&self) -> &str {
        &self.item.id
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        Mark::read(&self.item.description)
    }

    /// Which data it holds, and whether they are loaded: `true`, or why they are not, or who loads them.
    pub(super) fn data(&self) -> (Option<String>, Value) {
        let data = self.mark().and_then(|it| it.data);
        match (data, &self.loading) {
            (Some(it), _) if it == UNREFRESHED => (Some(it), OTHERS.into()),
            (_, Some(Loading::Failed(why))) => (None, why.as_str().into()),
            // Somebody changed what it asks for since.
            (Some(it), _) if it != self.asks => (None, false.into()),
            (Some(it), Some(_)) => (Some(it), false.into()),
            (Some(it), None) => (Some(it), true.into()),
            (None, _) if !self.unwritten.is_empty() => (Some(self.asks.clone()), true.into()),
            (None, _) => (None, false.into()),
        }
    }
}

/// Reads models, in the order of their names.
pub(super) async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveModel>>> {
    let found = find(cx, Sort::Model, names).await?;
    let lives = found.into_iter().zip(names).map(|(it, name)| async move {
        let Some((workspace, item)) = it else { return Ok(None) };
        let mark = Mark::read(&item.description);
        let loading = Error::missing_is_none(loading(cx, &workspace, &item.id, mark.as_ref()).await)?;
        let Some(loading) = loading else { return Ok(None) };
        let began = mark.as_ref().and_then(|it| it.refresh.as_deref()).is_some_and(|it| cx.fabric.began(it));
        let misnamed = (item.display_name != place(&name.physical).1).then(|| item.display_name.clone());
        let waits = began && loading == Some(Loading::Running);
        let (parts, connections) = if waits {
            (None, Vec::new())
        } else {
            let parts = cx.fabric.definition(&workspace, Sort::Model, &item.id);
            let both = try_join(parts, cx.fabric.connections(&workspace, &item.id));
            let Some((parts, connections)) = Error::missing_is_none(both.await)? else { return Ok(None) };
            (Some(received(parts)), connections)
        };
        let never = mark.as_ref().and_then(|it| it.data.as_deref()).is_none_or(|it| it == UNREFRESHED);
        let unwritten = if never { lake::unwritten(cx, &name.owner.address).await? } else { Vec::new() };
        let definition = parts.as_deref().map(definition::shown).unwrap_or_default();
        let asks = parts.as_deref().map(definition::data).unwrap_or_default();
        let live = LiveModel { workspace, item, misnamed, definition, asks, connections, loading, began, unwritten };
        Ok(Some(live))
    });
    try_join_all(lives).await
}

/// Finds items by identifier, else by what they say of whose they are, else by name: with one list for each workspace.
pub(crate) async fn find(cx: &Cx, sort: Sort, names: &[Name]) -> Result<Vec<Option<(String, Item)>>> {
    let mut lists: BTreeMap<&str, Vec<Item>> = BTreeMap::new();
    for it in names {
        lists.entry(place(&it.physical).0).or_default();
    }
    let all = lists.keys().map(|it| async move { Ok::<_, Error>((*it, cx.fabric.items(it, sort).await?)) });
    let lists: BTreeMap<&str, Vec<Item>> = try_join_all(all).await?.into_iter().collect();
    let found = |name: &Name| {
        let (workspace, display) = place(&name.physical);
        let items = lists.get(workspace)?;
        let says = |it: &&Item| {
            let owner = Mark::read(&it.description).map(|it| it.owner);
            owner.is_some_and(|it| it.stack == name.owner.stack && it.address == name.owner.address)
        };
        let known = items.iter().find(|it| name.id.as_deref() == Some(&it.id));
        let item = known.or_else(|| items.iter().find(says));
        let item = item.or_else(|| items.iter().find(|it| it.display_name == display))?;
        Some((workspace.to_owned(), item.clone()))
    };
    Ok(names.iter().map(found).collect())
}

/// Looks how far along the loading is that a model's mark speaks of; while it speaks of none, whether another one runs.
async fn loading(cx: &Cx, workspace: &str, id: &str, mark: Option<&Mark>) -> client::Result<Option<Loading>> {
    let Some(mark) = mark.filter(|it| it.refresh.is_some() || it.data.is_none()) else { return Ok(None) };
    let all = cx.fabric.refreshes(workspace, id).await?;
    let runs = all.iter().any(|it| it.loading == Loading::Running);
    Ok(match &mark.refresh {
        None => runs.then_some(Loading::Running),
        Some(asked) => Some(match all.into_iter().find(|it| it.id == *asked) {
            Some(it) => it.loading,
            None if runs => Loading::Running,
            None => Loading::Failed("what became of its refresh is not known".to_owned()),
        }),
    })
}

/// Makes texts of what the service sent; what is no text, such as a picture, is none of ours.
pub(crate) fn received(parts: Parts) -> Vec<Part> {
    let text = |(path, content)| Some(Part { path, text: String::from_utf8(content).ok()? });
    parts.into_iter().filter_map(text).collect()
}
