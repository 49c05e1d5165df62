"""Runs a query with boto3, and prints what it was given: the rows, the types, and the result's file."""

import csv
import io
import json
import sys
import time

import boto3

endpoint, workgroup, sql = sys.argv[1:4]
keys = {"aws_access_key_id": "000000000000", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
athena = boto3.client("athena", endpoint_url=endpoint, **keys)
s3 = boto3.client("s3", endpoint_url=endpoint, **keys)

query = athena.start_query_execution(QueryString=sql, WorkGroup=workgroup)["QueryExecutionId"]
deadline = time.monotonic() + 60
while True:
    found = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
    if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
        break
    assert time.monotonic() < deadline, found
    time.sleep(0.05)
assert found["Status"]["State"] == "SUCCEEDED", found

pages = list(athena.get_paginator("get_query_results").paginate(QueryExecutionId=query))
rows = [[it.get("VarCharValue") for it in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]]
columns = pages[0]["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
bucket, key = found["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").split("/", 1)
file = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

try:
    athena.start_query_execution(QueryString="select 1", WorkGroup="nobody")
except athena.exceptions.InvalidRequestException as err:
    refused = err.response["Error"]["Message"]

print(
    json.dumps(
        {
            "rows": rows[1:],
            "pages": [len(it["ResultSet"]["Rows"]) for it in pages],
            "columns": [[it["Name"], it["Type"]] for it in columns],
            "file": list(csv.reader(io.StringIO(file))),
            "refused": refused,
        }
    )
)
