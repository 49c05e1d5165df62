"""What boto3 sees of Redshift's Data API. Its argument: the endpoint. Prints one JSON document, which the test asserts on."""

import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

client = boto3.client(
    "redshift-data",
    endpoint_url=sys.argv[1],
    region_name="eu-central-1",
    aws_access_key_id="000000000000",
    aws_secret_access_key="secret",
)
WHERE = {"WorkgroupName": "analysts", "Database": "dev"}
ROLE = "arn:aws:iam::000000000000:role/"


def run(sql, where=WHERE, **more):
    """The rows of a statement, or why it failed."""
    id = client.execute_statement(Sql=sql, **where, **more)["Id"]
    while (state := client.describe_statement(Id=id))["Status"] not in ("FINISHED", "FAILED", "ABORTED"):
        time.sleep(0.02)
    if state["Status"] != "FINISHED":
        return state["Error"]
    if not state["HasResultSet"]:
        return None
    pages, rows = client.get_paginator("get_statement_result").paginate(Id=id), []
    for page in pages:
        rows += [[next(iter(it.values())) for it in row] for row in page["Records"]]
    return rows


def refused(**more):
    try:
        client.execute_statement(Sql="SELECT 1", Database="dev", **more)
    except ClientError as err:
        return err.response["Error"]["Code"] + ": " + err.response["Error"]["Message"]
    return None


LIST = "SELECT schemaname, eskind, databasename, esoptions FROM svv_external_schemas WHERE schemaname = :name"
NAME = [{"name": "name", "value": "shop"}]
CREATE = f"CREATE EXTERNAL SCHEMA shop FROM DATA CATALOG DATABASE 'glue_shop' IAM_ROLE '{ROLE}one'"
token = {"ClientToken": "the-same"}
print(
    json.dumps(
        {
            "made": run(CREATE),
            "again": run(CREATE),
            "once": client.execute_statement(Sql="SELECT 1", **WHERE, **token)["Id"]
            == client.execute_statement(Sql="SELECT 1", **WHERE, **token)["Id"],
            "listed": run(LIST, Parameters=NAME),
            "altered": run(f"ALTER EXTERNAL SCHEMA shop IAM_ROLE '{ROLE}two'"),
            "then": run(LIST, Parameters=NAME),
            "elsewhere": run(LIST, {"ClusterIdentifier": "analysts", "Database": "dev"}, Parameters=NAME),
            "many": len(run("SELECT n, n = 1, null FROM generate_series(1, 2500) n")),
            "wrong": run("SELECT * FROM nothing"),
            "no superuser": run("COPY (SELECT 1) TO PROGRAM 'true'"),
            "dropped": run("DROP SCHEMA shop"),
            "gone": run(LIST, Parameters=NAME),
            "no secret": refused(WorkgroupName="analysts", SecretArn="nobody-s"),
            "user of a workgroup": refused(WorkgroupName="analysts", DbUser="awsuser"),
            "nowhere": refused(),
        }
    )
)
