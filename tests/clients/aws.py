"""Sets up and looks at S3 and SQS as moto plays them.

aws.py URL setup                makes the bucket `funnel`, which tells the queue `funnel` of its objects
                                as SentinelOne's Cloud Funnel is set up, the bucket `splits`, and a user;
                                prints what a client needs as JSON, and has moto check every later
                                request's signature and rights
aws.py URL put KEY SECRET NAME  puts stdin as an object of `funnel`
aws.py URL send KEY SECRET      sends stdin as a message
aws.py URL count KEY SECRET     prints how many messages are in the queue, seen or not
aws.py URL list KEY SECRET      prints the keys of `splits`, one a line
"""

import json
import sys
import urllib.request

import boto3

REGION = "eu-west-3"


def main():
    url, action, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    key, secret = rest[:2] if len(rest) >= 2 else ("setup", "setup")

    def client(service):
        return boto3.client(
            service, region_name=REGION, endpoint_url=url,
            aws_access_key_id=key, aws_secret_access_key=secret,
        )

    s3, sqs = client("s3"), client("sqs")
    if action == "setup":
        queue = sqs.create_queue(QueueName="funnel")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        for bucket in ("funnel", "splits"):
            s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        s3.put_bucket_notification_configuration(
            Bucket="funnel",
            NotificationConfiguration={"QueueConfigurations": [{
                "QueueArn": arn["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"],
            }]},
        )
        iam = client("iam")
        iam.create_user(UserName="soc")
        iam.put_user_policy(UserName="soc", PolicyName="soc", PolicyDocument=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sqs:*"], "Resource": "*"}],
        }))
        made = iam.create_access_key(UserName="soc")["AccessKey"]
        request = urllib.request.Request(
            f"{url}/moto-api/reset-auth", data=b"0", headers={"content-type": "text/plain"}
        )
        urllib.request.urlopen(request).read()
        print(json.dumps({
            "queue_url": queue, "key": made["AccessKeyId"], "secret": made["SecretAccessKey"],
        }))
        return
    queue = f"{url}/123456789012/funnel"
    if action == "put":
        s3.put_object(Bucket="funnel", Key=rest[2], Body=sys.stdin.buffer.read())
    elif action == "send":
        sqs.send_message(QueueUrl=queue, MessageBody=sys.stdin.read())
    elif action == "count":
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        print(sum(int(told[name]) for name in names))
    elif action == "list":
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="splits"):
            for found in page.get("Contents", []):
                print(found["Key"])
    else:
        sys.exit(__doc__)


main()
