//! `careloop check`: everything that can be wrong before starting, all at once.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::context::Misconfigured;
use super::{CONFIGURATION, Global, output};
use crate::care::Rules;
use crate::clock;
use crate::config::{Config, Source, TASKS_DESTINATION, Tenant};
use crate::daemon;
use crate::hl7::Charset;
use crate::mapping::Bundle;
use crate::store::Store;

/// Checks configuration, mappings, rules, policy, agreements, key and store.
pub(super) async fn check(global: &Global) -> anyhow::Result<ExitCode> {
    let config = match global.load() {
        Ok(config) => config,
        Err(error) if error.is::<Misconfigured>() => {
            output::error(&error.to_string());
            return Ok(ExitCode::from(CONFIGURATION));
        }
        Err(error) => return Err(error),
    };
    let mut problems = Vec::new();
    knowledge(&config, &mut problems);
    for tenant in &config.tenants {
        agreements(tenant, &mut problems);
    }
    match daemon::root_key(&config) {
        Err(error) => problems.push(format!("{error:#}")),
        // A SQLite file that is not there yet is made by the first `careloop serve`.
        Ok(_) if is_to_be_made(config.store.url.open()) => {}
        Ok(root) => {
            let opened = Store::open_beside(&config.store, root).await;
            let checked = match opened {
                Ok(store) => store.check_root().await,
                Err(error) => Err(error),
            };
            match checked {
                Ok(note) => note.iter().for_each(|note| output::error(note)),
                Err(error) => problems.push(error.to_string()),
            }
        }
    }
    if problems.is_empty() {
        for tenant in config
            .tenants
            .iter()
            .filter(|tenant| !tenant.feedback.answers)
        {
            output::line(&format!(
                "tenant {}: the CRM sends no feedback: nothing escalates, evidence alone ends a finding, and tasks expire quietly",
                tenant.name
            ))?;
        }
        output::line(
            "ready to serve: configuration, mappings, rules, policy, agreements, key and store",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    for problem in &problems {
        output::error(problem);
    }
    output::error(&format!("{} problems; nothing was started", problems.len()));
    Ok(ExitCode::from(CONFIGURATION))
}

fn knowledge(config: &Config, problems: &mut Vec<String>) {
    let mut rules = None;
    match Rules::embedded() {
        Ok(compiled) => rules = Some(compiled),
        Err(list) => problems.extend(list.iter().map(ToString::to_string)),
    }
    for tenant in &config.tenants {
        if let Err(error) = daemon::policy(tenant) {
            problems.push(format!("{error:#}"));
        }
        for id in tenant.named_rules() {
            if let Some(rules) = &rules
                && rules.get(id).is_none()
            {
                let known: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
                problems.push(format!(
                    "tenant {}: rules, rests: expected one of {}, found {id}",
                    tenant.name,
                    known.join(", ")
                ));
            }
        }
        for source in &tenant.sources {
            if let Err(list) = Bundle::embedded(&daemon::layers(&source.layers)) {
                problems.extend(list.iter().map(ToString::to_string));
            }
            if let Some(rules) = &rules {
                concepts(source, rules, problems);
            }
            if let Some(name) = &source.charset
                && Charset::parse(name).is_none()
            {
                problems.push(format!(
                    "source {}: charset: expected a name of HL7 table 0211 that careloop reads, found another",
                    source.name
                ));
            }
        }
    }
}

fn agreements(tenant: &Tenant, problems: &mut Vec<String>) {
    let today = clock::now().to_zoned(tenant.zone.clone()).date();
    let names = tenant.sources.iter().map(|source| source.name.as_str());
    for name in names.chain([TASKS_DESTINATION]) {
        if !tenant.is_covered(name, today) {
            problems.push(format!(
                "tenant {}: no agreement in force covers {name}; add it to `covers` of an [[agreement]]",
                tenant.name
            ));
        }
    }
}

fn is_to_be_made(url: &str) -> bool {
    url.strip_prefix("sqlite:")
        .is_some_and(|path| !std::path::Path::new(path).exists())
}

/// A concept that no rule looks at is most likely misspelt, and its rule would wait for history.
fn concepts(source: &Source, rules: &Rules, problems: &mut Vec<String>) {
    let known: BTreeSet<&str> = rules
        .iter()
        .flat_map(|rule| &rule.concepts)
        .map(String::as_str)
        .collect();
    for name in source.history_since.keys() {
        if name != "*" && !known.contains(name.as_str()) {
            let known: Vec<&str> = known.iter().copied().collect();
            problems.push(format!(
                "source {}: history_since: expected \"*\" or one of {}, found another name",
                source.name,
                known.join(", ")
            ));
        }
    }
}
