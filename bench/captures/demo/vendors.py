"""Records of the vendor clouds: SentinelOne (Cloud Funnel and console) and PRADEO.

The shapes follow what these products send; every value is invented.
"""

import hashlib

from records import EPOCH_MS, RFC3339, Records, name_of

CATEGORY = {
    "Process Creation": ("process", "PROCESSCREATION"),
    "IP Connect": ("ip", "TCPV4"),
    "DNS Resolved": ("dns", "DNS"),
    "File Creation": ("file", "FILECREATION"),
    "Registry Value Modified": ("registry", "REGVALUEMODIFIED"),
    "Registry Value Create": ("registry", "REGVALUECREATE"),
    "Command Script": ("command_script", "SCRIPTS"),
    "Login": ("logins", "WINLOGONATTEMPT"),
    "Module Load": ("module", "MODULELOAD"),
}


class Vendors(Records):
    """Adds the vendor clouds to the Windows channels."""

    # ------------------------------------------------------------------ Cloud Funnel

    def _process(self, prefix, image, command, user, pid=None):
        digest = hashlib.sha256(image.lower().encode()).hexdigest()
        return {
            f"{prefix}.name": name_of(image),
            f"{prefix}.image.path": image,
            f"{prefix}.image.sha1": digest[:40],
            f"{prefix}.image.sha256": digest,
            f"{prefix}.image.md5": digest[:32],
            f"{prefix}.cmdline": command,
            f"{prefix}.user": user,
            f"{prefix}.pid": pid or self.rng.randrange(1000, 16000, 4),
            f"{prefix}.uid": self.hex(16).upper(),
            f"{prefix}.storyline.id": self.hex(16).upper(),
            f"{prefix}.integrityLevel": "SYSTEM" if "SYST" in user.upper() else "MEDIUM",
            f"{prefix}.startTime": EPOCH_MS,
            f"{prefix}.signedStatus": "signed",
            f"{prefix}.publisher": "MICROSOFT WINDOWS",
            f"{prefix}.sessionId": 1,
            f"{prefix}.subsystem": "SYS_WIN32",
        }

    def funnel(self, host, kind, actor, parent, extra):
        """One Cloud Funnel 2.0 event; `actor` and `parent` are (image, command, user)."""
        category, meta = CATEGORY[kind]
        return {
            "timestamp": RFC3339,
            "event.time": EPOCH_MS,
            "event.id": f"01{self.hex(24).upper()}_{self.rng.randrange(900)}",
            "event.type": kind,
            "event.category": category,
            "meta.event.name": meta,
            "dataSource.vendor": "SentinelOne",
            "dataSource.name": "SentinelOne",
            "dataSource.category": "security",
            "i.scheme": "edr",
            "endpoint.name": host.name,
            "endpoint.os": "windows",
            "endpoint.type": host.kind,
            "os.name": host.os_name,
            "agent.uuid": hashlib.md5(host.name.encode()).hexdigest(),
            "agent.version": "24.2.3.471",
            "account.name": "Dijon Metropole",
            "site.name": host.domain.lower(),
            "trace.id": f"01{self.hex(24).upper()}",
        } | self._process("src.process", *actor) | self._process("src.process.parent", *parent) | extra

    def funnel_process(self, host, image, command, parent, parent_command=None, user=None):
        """Process Creation: the acting process is the parent, the target is the new one."""
        user = user or host.account
        actor = (parent, parent_command or parent, user)
        above = ("C:\\Windows\\System32\\svchost.exe", "svchost.exe -k netsvcs", "NT AUTHORITY\\SYSTEM")
        return self.funnel(host, "Process Creation", actor, above,
                           self._process("tgt.process", image, command, user))

    def funnel_network(self, host, image, command, ip, port, user=None):
        user = user or host.account
        return self.funnel(host, "IP Connect", (image, command, user),
                           ("C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", user), {
                               "event.network.direction": "OUTGOING",
                               "event.network.connectionStatus": "SUCCESS",
                               "event.network.protocolName": "https" if port == 443 else "unknown",
                               "src.ip.address": host.ip,
                               "src.port.number": self.rng.randrange(49152, 65535),
                               "dst.ip.address": ip,
                               "dst.port.number": port,
                           })

    def funnel_dns(self, host, image, command, name, answer):
        return self.funnel(host, "DNS Resolved", (image, command, host.account),
                           ("C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", host.account),
                           {"event.dns.request": name, "event.dns.response": f"{answer};"})

    def funnel_file(self, host, image, command, path):
        return self.funnel(host, "File Creation", (image, command, host.account),
                           ("C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", host.account), {
                               "tgt.file.path": path,
                               "tgt.file.extension": path.rsplit(".", 1)[-1],
                               "tgt.file.size": self.rng.randrange(200, 900_000),
                               "tgt.file.location": "Local",
                               "tgt.file.creationTime": EPOCH_MS,
                           })

    def funnel_registry(self, host, image, command, key, value, kind="SZ", user=None):
        user = user or host.account
        return self.funnel(host, "Registry Value Modified", (image, command, user),
                           ("C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", user), {
                               "registry.keyPath": key,
                               "registry.value": value,
                               "registry.valueType": kind,
                               "registry.valueIsComplete": True,
                           })

    def funnel_script(self, host, command, content):
        """Command Script: what the script engine was handed."""
        return self.funnel(
            host, "Command Script",
            ("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe", command, host.account),
            ("C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", host.account), {
                "cmdScript.content": content,
                "cmdScript.isComplete": True,
                "cmdScript.originalSize": len(content),
                "cmdScript.sha256": hashlib.sha256(content.encode()).hexdigest(),
                "cmdScript.applicationName": "PowerShell_powershell.exe_10.0.22621.1",
            })

    # ------------------------------------------------------------------ SentinelOne console

    def threat(self, host, name, path, *, confidence="malicious", mitigation="not_mitigated",
               verdict="undefined", classification="Malware", incident="unresolved"):
        """One entry of /web/api/v2.1/threats."""
        digest = hashlib.sha1(path.lower().encode()).hexdigest()
        ident = self.number()
        return {
            "id": ident,
            "agentDetectionInfo": {
                "accountName": "Dijon Metropole",
                "agentDomain": f"{host.domain.lower()}.example",
                "agentIpV4": host.ip,
                "agentLastLoggedInUserName": host.user,
                "agentMitigationMode": "detect",
                "agentOsName": host.os_name,
                "agentVersion": "24.2.3.471",
                "siteName": host.domain.lower(),
            },
            "agentRealtimeInfo": {
                "agentComputerName": host.name,
                "agentDomain": f"{host.domain.lower()}.example",
                "agentId": self.number(),
                "agentInfected": mitigation == "not_mitigated",
                "agentIsActive": True,
                "agentMachineType": host.kind,
                "agentNetworkStatus": "connected",
                "agentOsType": "windows",
                "siteName": host.domain.lower(),
            },
            "indicators": [],
            "mitigationStatus": [],
            "threatInfo": {
                "analystVerdict": verdict,
                "analystVerdictDescription": verdict.replace("_", " ").capitalize(),
                "classification": classification,
                "classificationSource": "Static",
                "confidenceLevel": confidence,
                "createdAt": RFC3339,
                "detectionType": "static",
                "engines": ["On-Write Static AI"],
                "filePath": path,
                "fileSize": 214_016,
                "identifiedAt": RFC3339,
                "incidentStatus": incident,
                "initiatedBy": "agent_policy",
                "isFileless": False,
                "mitigationStatus": mitigation,
                "originatorProcess": "services.exe",
                "processUser": host.account,
                "sha1": digest,
                "storyline": self.hex(16).upper(),
                "threatId": ident,
                "threatName": name,
                "updatedAt": RFC3339,
            },
            "whiteningOptions": ["hash"],
        }

    def activity(self, kind, description, data, host=None, threat=None):
        """One entry of /web/api/v2.1/activities."""
        scope = {"accountName": "Dijon Metropole", "scopeLevel": "Site"}
        if host:
            scope |= {"computerName": host.name, "siteName": host.domain.lower(),
                      "scopeName": host.domain.lower()}
        return {
            "id": self.number(),
            "accountId": "417005391266230031",
            "activityType": kind,
            "agentId": self.number() if host else None,
            "comments": None,
            "createdAt": RFC3339,
            "data": scope | data,
            "description": None,
            "hash": None,
            "osFamily": None,
            "primaryDescription": description,
            "secondaryDescription": None,
            "siteId": None,
            "threatId": threat,
            "updatedAt": RFC3339,
            "userId": None,
        }

    # ------------------------------------------------------------------ PRADEO

    def _pradeo(self, kind, content, category=None):
        return {
            "id": self.slug(),
            "creationDate": RFC3339,
            "source": "system",
            "category": category,
            "type": kind,
            "content": content,
        }

    @staticmethod
    def _device(phone):
        return {
            "id": phone["id"],
            "serialNumber": phone["serial"],
            "imei": None,
            "name": phone["name"],
            "email": phone["email"],
            "byod": phone.get("byod", False),
            "lockPassword": None,
            "knoxVersion": None,
            "declaredOperatingSystem": phone["os"],
            "declaredOperatingSystemVersion": phone["version"],
            "declaredOperatingSystemSecurityPatchDate": phone["patch"],
            "declaredModel": phone["model"],
            "enrollmentStatus": {"id": phone["serial"] + "-e", "lastConnection": RFC3339, "coupled": True},
            "emmDeviceInfo": None,
        }

    def phone_app(self, phone, app, status, level):
        """DeviceApplicationComplianceUpdated: what the policy says of an installed app."""
        package, label, version = app
        digest = hashlib.sha256(f"{package}{version}".encode()).hexdigest()
        return self._pradeo("DeviceApplicationComplianceUpdated", {"deviceApplicationCompliance": {
            "id": self.slug(),
            "status": status,
            "computed": True,
            "creationDate": RFC3339,
            "lastModificationDate": RFC3339,
            "deviceApplication": {
                "id": self.slug(),
                "application": {
                    "id": self.slug(),
                    "package": {"id": self.slug(), "package": package, "system": phone["os"]},
                    "version": version,
                    "md5": digest[:32],
                    "sha1": digest[:40],
                    "sha256": digest,
                    "name": label,
                    "versionCode": version.replace(".", ""),
                    "size": str(self.rng.randrange(2_000_000, 90_000_000)),
                },
                "device": self._device(phone),
                "installedAt": RFC3339,
                "uninstalledAt": None,
                "native": False,
            },
            "matchedResponseRules": [{
                "id": self.slug(),
                "matchConditions": [{"type": "threatLevelIs", "value": level}],
                "notifyAdministrator": False,
                "onDeviceNotification": status == "Disapproved",
                "action": status,
                "responseRuleset": {"id": "collectivite-standard", "name": "Standard", "active": True,
                                    "type": "Company", "priority": 0},
                "priority": 0,
            }],
        }})

    def phone_status(self, phone, family, name, value):
        """Device{System,Network}StatusRecordUpdated: one property of the phone changed."""
        lower = family.lower()
        return self._pradeo(f"Device{family}StatusRecordUpdated", {f"device{family}StatusRecord": {
            "id": self.slug(),
            "device": self._device(phone),
            f"device{family}Status": {"id": f"{lower}-{name.lower()}", "name": name},
            "value": value,
        }})

    def phone_history(self, phone, name, value):
        """DeviceStatusHistoryUpdated: the same, from the phone's history."""
        return self._pradeo("DeviceStatusHistoryUpdated", {"deviceId": phone["id"], "event": {
            "id": self.slug(), "device": self._device(phone), "kind": name, "value": value,
            "eventDate": RFC3339,
        }})

    def phone_detection(self, phone, metric, label, status, category="Network"):
        """DeviceDetection: something the agent on the phone saw begin or end."""
        first, last = phone["name"].split(" ", 1)
        return self._pradeo("DeviceDetection", {
            "id": f"{phone['os'].lower()}:{phone['id']}", "last_name": last, "first_name": first,
            "email": phone["email"], "metric": metric, "type": label, "status": status,
        }, category)

    def phone_correlation(self, phone, application="Green", system="Green", network="Green"):
        """DeviceCorrelationUpdated: the phone's overall threat levels."""
        return self._pradeo("DeviceCorrelationUpdated", {"deviceCorrelation": {
            "id": self.slug(),
            "creationDate": RFC3339,
            "lastModificationDate": RFC3339,
            "device": self._device(phone),
            "detectionPolicy": {"id": "collectivite-standard", "name": "Standard",
                                "type": "Application and device threat", "inheritable": True, "version": 1},
            "applicationThreatLevel": application,
            "systemThreatLevel": system,
            "networkThreatLevel": network,
            "matchedSystemStatusLevels": [{
                "id": self.slug(),
                "systemStatusLevel": {"id": self.slug(), "level": "Orange",
                                      "deviceSystemStatus": {"id": "system-developermode", "name": "DeveloperMode"}},
                "deviceSystemStatusRecord": {"id": self.slug(), "value": 0},
            }],
            "matchedNetworkStatusLevels": [],
            "status": "done",
        }})
