"""What AWS asks a policy for when KMS is asked: every key and alias that a request touches, each with what the condition keys of
policies see of it: the tags that it has, or is to have. As AWS's service authorization reference lists them. What exists has the
tags that it was given when it was made, as recorded.
"""

import json

from network import keys

# Lists, which name nothing.
LISTS = ("ListAliases", "ListKeys")


class Keys:
    """The keys that recorded requests make, with their tags."""

    def __init__(self, region, account):
        self.prefix, self.tags = f"arn:aws:kms:{region}:{account}", {}

    def needs(self, request, answer):
        """Lists what a request has to be allowed, and remembers what it made or tagged."""
        name, members = request.operation.name, request.members
        if name in LISTS:
            return [(f"kms:{name}", "*", ())]
        given = {it["TagKey"]: it["TagValue"] for it in members.get("Tags", [])}
        asked = keys("aws:requesttag", given)
        if name == "CreateKey":
            made = json.loads(answer)["KeyMetadata"]["KeyId"]
            self.tags[made] = given
            return [("kms:CreateKey", "*", asked), ("kms:TagResource", f"{self.prefix}:key/*", asked)]
        key = (members.get("KeyId") or members["TargetKeyId"]).rpartition("/")[2]
        known = keys("aws:resourcetag", self.tags.get(key, {})) + asked
        found = [(f"kms:{name}", f"{self.prefix}:key/{key}", known)]
        if "AliasName" in members:
            found.append((f"kms:{name}", f"{self.prefix}:{members['AliasName']}", ()))
        if name == "TagResource":
            self.tags[key].update(given)
        if name == "UntagResource":
            self.tags[key] = {it: value for it, value in self.tags[key].items() if it not in members["TagKeys"]}
        return found
