"""Judges the deployment files: by the schemas of Compose and Kubernetes, and by this repository's own rules.

    python3 deploy/validate.py VALIDATORS compose FILE...
    python3 deploy/validate.py VALIDATORS kubernetes FILE...       (`-` for standard input)

VALIDATORS is the folder that `cargo xtask validators` fills. Every finding is a line; any finding ends it with 1.
"""

import json
import os
import re
import sys

validators, kind, files = sys.argv[1], sys.argv[2], sys.argv[3:]
sys.path.insert(0, validators)

import jsonschema  # noqa: E402
import yaml  # noqa: E402

findings = []


def finding(where, what):
    findings.append(f"{where}: {what}")


def read(path):
    if path == "-":
        return sys.stdin.read()
    with open(path, encoding="utf-8") as file:
        return file.read()


def check_image(where, image):
    """Tags are exact: a number with at least two parts, or `local` for what is built here."""
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    if not (tag == "local" or re.match(r"^\d+\.\d+", tag) or "@sha256:" in image):
        finding(where, f"image {image} is not pinned")


def check_compose(path):
    compose = yaml.safe_load(read(path))
    with open(os.path.join(validators, "compose-spec.json"), encoding="utf-8") as file:
        schema = json.load(file)
    for error in jsonschema.Draft7Validator(schema).iter_errors(compose):
        finding(path, f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    folder = os.getcwd() if path == "-" else os.path.dirname(os.path.abspath(path))
    services = compose.get("services", {})
    for name, service in services.items():
        where = f"{path}: {name}"
        check_image(where, service.get("image", ""))
        for secret in service.get("secrets", []):
            if secret not in compose.get("secrets", {}):
                finding(where, f"secret {secret} is not defined")
        for other, how in (service.get("depends_on") or {}).items():
            if other not in services:
                finding(where, f"waits for {other}, which is not there")
            elif how["condition"] == "service_healthy" and "healthcheck" not in services[other]:
                finding(where, f"waits for the health of {other}, which has no check")
        for key, value in (service.get("environment") or {}).items():
            if "PASSWORD" in key and not key.endswith("_FILE"):
                finding(where, f"{key} holds a password: name a file")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(".") and not os.path.exists(os.path.join(folder, source)):
                finding(where, f"{source} is not there")
            elif not source.startswith(".") and source not in compose.get("volumes", {}):
                finding(where, f"volume {source} is not defined")
        for command in [service.get("entrypoint"), (service.get("healthcheck") or {}).get("test")]:
            for word in command or []:
                check_script(where, word)


def check_script(where, word):
    root = os.path.dirname(os.path.abspath(__file__))
    if word.startswith("/usr/local/bin/cleave-") and not os.access(
        os.path.join(root, "scripts", os.path.basename(word)), os.X_OK
    ):
        finding(where, f"{word} is no script of deploy/scripts")


def check_pod(where, spec):
    """The level `restricted` of the pod security standards, and what this repository adds."""
    pod = spec.get("securityContext", {})
    if pod.get("runAsNonRoot") is not True or not pod.get("runAsUser"):
        finding(where, "may run as root")
    if pod.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        finding(where, "has no seccomp profile")
    if spec.get("automountServiceAccountToken") is not False:
        finding(where, "carries a token of the cluster")
    for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(forbidden):
            finding(where, f"sets {forbidden}")
    allowed = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "downwardAPI", "csi", "ephemeral"}
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= allowed:
            finding(where, f"volume {volume['name']} is of a kind that `restricted` forbids")
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        here = f"{where}: {container['name']}"
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            finding(here, "may gain privileges")
        if context.get("capabilities", {}).get("drop") != ["ALL"] or context.get("capabilities", {}).get("add"):
            finding(here, "keeps capabilities")
        if context.get("readOnlyRootFilesystem") is not True:
            finding(here, "may write to its image")
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
            finding(here, "does not say what it needs")
        check_image(here, container["image"])
        for word in container.get("command", []):
            check_script(here, word)
        mounted = {volume["name"] for volume in spec.get("volumes", [])} | spec.get("_claims", set())
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in mounted:
                finding(here, f"mounts {mount['name']}, which is not there")


def check_kubernetes(path):
    import kubernetes_validate

    documents = [document for document in yaml.safe_load_all(read(path)) if document]
    if not documents:
        finding(path, "holds nothing")
    names = {(document["kind"], document["metadata"]["name"]) for document in documents}
    for document in documents:
        where = f"{path}: {document['kind']} {document['metadata']['name']}"
        try:
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        except Exception as error:
            finding(where, str(getattr(error, "message", error))[:300])
        pod = document.get("spec", {}).get("template", {}).get("spec") if isinstance(document.get("spec"), dict) else None
        if pod:
            claims = document["spec"].get("volumeClaimTemplates", [])
            check_pod(where, pod | {"_claims": {claim["metadata"]["name"] for claim in claims}})
            for container in pod["containers"] if document["kind"] != "Job" else []:
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    if probe not in container:
                        finding(f"{where}: {container['name']}", f"has no {probe}")
    if any(kind == "Deployment" for kind, _ in names) and not any(kind == "NetworkPolicy" for kind, _ in names):
        finding(path, "has no NetworkPolicy")


for file in files:
    {"compose": check_compose, "kubernetes": check_kubernetes}[kind](file)
for line in findings:
    print(line)
sys.exit(1 if findings else 0)
