# The verbs of development. `just` lists them.

_default:
    @just --list --unsorted

# Exactly what CI runs.
ci:
    .ci/run

# All tests, or those whose name holds the word: `just test poller`.
test *word:
    cargo test --workspace {{ word }}

# Checks the dashboard's page in headless Chromium; with `--shots DIR`, takes pictures to look at.
dashboard-check *words:
    cargo build --bin ecomctl
    python3 tests/dashboard/check.py {{ words }}

# Power BI's model and report as others see them: Microsoft's report tool, pbir-utils, pbi-parsers; an engine for DAX computes what SQL says; fabric-cicd must send what `up` sends.
powerbi *words:
    cargo build --bin ecomctl
    test -d target/powerbi-tools || python3 -m venv target/powerbi-tools
    target/powerbi-tools/bin/pip install --quiet --require-hashes -r tests/powerbi/requirements.txt
    target/powerbi-tools/bin/pip install --quiet --require-hashes --no-deps -r tests/powerbi/requirements-dax.txt
    npm install --silent --no-audit --no-fund --prefix target/powerbi-tools/npm @microsoft/powerbi-report-authoring-cli@0.1.4
    target/powerbi-tools/bin/python tests/powerbi/check.py --cli target/powerbi-tools/npm/node_modules/.bin/powerbi-report-author --publish {{ words }}

# The Spark job's suite on Sail, with a PostgreSQL of this machine (or a URL of one).
notebooks postgres="system":
    test -d target/notebooks-sail || python3 -m venv target/notebooks-sail
    target/notebooks-sail/bin/pip install --quiet --require-hashes -r notebooks/tests/requirements.txt
    cd notebooks && ../target/notebooks-sail/bin/python -m pytest tests --postgres={{ postgres }} -k "not oracle"
    cd notebooks && ../target/notebooks-sail/bin/python -m pytest tests --postgres={{ postgres }} -k oracle --tables-out=../target/gold-sail

# The same on classic Spark with the real Delta Lake; its tables must equal those that `just notebooks` left.
notebooks-classic postgres="system":
    test -d target/notebooks-classic || python3 -m venv target/notebooks-classic
    target/notebooks-classic/bin/pip install --quiet --require-hashes -r notebooks/tests/requirements-classic.txt
    cd notebooks && ../target/notebooks-classic/bin/python -m pytest tests --postgres={{ postgres }} --engine=classic --tables-equal=../target/gold-sail

# The whole medallion on 200,000 orders, both engines side by side: wall time and peak memory.
notebooks-bench postgres:
    cd notebooks && ../target/notebooks-sail/bin/python tests/bench.py --postgres {{ postgres }} --engine sail=../target/notebooks-sail/bin/python --engine classic=../target/notebooks-classic/bin/python

# Events in, gold tables out, against oracles: the lake's part of the pipeline's tests.
lake:
    cargo test --test pipeline lake::

# Every alarm of the stack goes off on a true cause and is over again, and people are told: some 9 minutes, most of it waiting.
alarms-fire:
    cargo test --test watching -- --nocapture

# The official Databricks SDK, boto3 and the AWS SDK against the local cloud.
peers:
    cargo test --test local

# Kills `up`, an update and `teardown` at every request and at every write of the state; lets every request fail in every way. All of it takes long; a number makes one part of it, as each run of the tests does.
kills part="all":
    SWEEP={{ part }} cargo test --test cloud -- --nocapture
    cargo test --lib killed_at_any_write -- --nocapture

# Lets every request of `up`, an update and `teardown` fail once in each of nine ways, or in one of them, such as `Stale`.
faults way="faults":
    SWEEP={{ way }} cargo test --test cloud the_pipeline -- --nocapture

# The planner's promises over 10,000 made-up stacks; the protocol killed or lied to at every pair of points.
protocol:
    cargo test --lib -- --nocapture engine::tests::planner engine::tests::explore

# What every kind promises: no drift, each field set back, renames, protection, nothing of another stack's taken over.
contract:
    cargo test --test contract -- --nocapture

# Spoilt stack files, states and plans, 1,000 of each.
fuzzed:
    cargo test --test acceptance fuzzed

# Fuzzes one reader (`plan`, `stack` or `state`) with libFuzzer, until it falls over; needs `cargo install cargo-fuzz` and a nightly.
fuzz target:
    cargo +nightly fuzz run {{ target }}

# Two runs at once, ten at once, and one that slept past its lease; states in files and in S3; answers that are lost. 3 minutes.
runs:
    cargo test --test cloud a_state_is_one_runs
    cargo test --lib state::

# Every version of the record is read; a newer one is refused untouched.
formats:
    cargo test --lib state::format

# How many writes of the state 500 steps at once cost, where one takes 50 ms.
commits:
    cargo test --lib five_hundred_steps -- --nocapture

# Judges what the program asks of AWS by AWS's published models, and the policies that it gives and needs by a linter; deploys as a user who may do nothing but what the deploy policies say.
policies:
    cargo test --test aws -- --nocapture
    cargo build --bin ecomctl
    "${CARGO_TARGET_DIR:-target}/tmp/software/venv/bin/python" tests/aws/auth.py "${CARGO_TARGET_DIR:-target}/debug/ecomctl" templates/policies/deploy.json templates/policies/deploy-network.json templates/policies/deploy-data.json templates/policies/deploy-redshift.json
    test -d target/policies || python3 -m venv target/policies
    target/policies/bin/pip install --quiet parliament==1.6.4
    target/policies/bin/python tests/aws/lint.py "${CARGO_TARGET_DIR:-target}/tmp/aws-requests.jsonl" templates/policies/deploy.json templates/policies/deploy-network.json templates/policies/deploy-data.json templates/policies/deploy-redshift.json

# Checks the workflows and the deploy step: actionlint (needs Go), zizmor and shellcheck, without a finding.
workflows:
    test -d target/workflows || python3 -m venv target/workflows
    target/workflows/bin/pip install --quiet --require-hashes --no-deps --only-binary :all: -r .github/requirements.txt
    test -x target/workflows/bin/actionlint || GOBIN="$PWD/target/workflows/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
    target/workflows/bin/actionlint -shellcheck target/workflows/bin/shellcheck
    target/workflows/bin/shellcheck .ci/deploy-step .ci/run
    target/workflows/bin/zizmor --offline --no-progress .

# Does what the deploy workflow does, against a local cloud: a change, its diff, the merge, the plan, a stale one refused.
deploy-step:
    cargo build --bin ecomctl
    python3 tests/deploy/check.py

# Measures the whole pipeline: events per second, and where the processor time goes.
bench:
    cargo bench --bench throughput

# Formats everything; `cargo fmt` would miss the kinds, which are declared through a macro.
fmt:
    rustfmt --edition 2024 $(git ls-files --cached --others --exclude-standard '*.rs')

# Lints everything, warnings denied.
lint:
    cargo clippy --workspace --all-targets -- --deny warnings
    # Run by name only, and so no part of all targets.
    cargo clippy --test watching -- --deny warnings

# Writes the JSON Schema of stack files.
schema:
    cargo run --quiet -- schema > stacks/stack.schema.json.new
    mv stacks/stack.schema.json.new stacks/stack.schema.json

# Runs `ecomctl` with these words: `just run diff local`.
run *words:
    cargo run --release --quiet -- {{ words }}

# Brings the whole pipeline up on this machine.
up stack="local":
    cargo run --release -- up {{ stack }}

# Shows what would change.
diff stack="local":
    cargo run --release --quiet -- diff {{ stack }}

# Takes everything down again.
teardown stack="local":
    cargo run --release --quiet -- teardown {{ stack }}
