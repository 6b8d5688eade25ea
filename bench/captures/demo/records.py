"""Raw records in the vendors' own shapes, for the demo capture and the rules' test events.

Nothing here was recorded anywhere: hosts, people, addresses and hashes are invented (`.example`
names, RFC 1918 and RFC 5737 addresses). Times are placeholders that the player fills in; see
`docs/demo.md`.
"""

import hashlib
import random
import string

RFC3339 = "${rfc3339}"
WINDOWS_UTC = "${windows_utc}"
EPOCH_MS = "${epoch_ms}"

SYSMON, SECURITY, SYSTEM, POWERSHELL, DEFENDER, EVENTLOG, EVENTLOG_SYSTEM = range(7)

# channel, provider, provider's GUID, and NXLog's value for classic keywords
CHANNELS = {
    SYSMON: (
        "Microsoft-Windows-Sysmon/Operational",
        "Microsoft-Windows-Sysmon",
        "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}",
        -9223372036854775808,
    ),
    SECURITY: (
        "Security",
        "Microsoft-Windows-Security-Auditing",
        "{54849625-5478-4994-A5BA-3E3B0328C30D}",
        -9214364837600034816,
    ),
    SYSTEM: (
        "System",
        "Service Control Manager",
        "{555908D1-A6D7-4695-8E1E-26931D2012F4}",
        -9187343239835811840,
    ),
    POWERSHELL: (
        "Microsoft-Windows-PowerShell/Operational",
        "Microsoft-Windows-PowerShell",
        "{A0C1853B-5C40-4B15-8766-3CF1C58F985A}",
        0,
    ),
    DEFENDER: (
        "Microsoft-Windows-Windows Defender/Operational",
        "Microsoft-Windows-Windows Defender",
        "{11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78}",
        -9223372036854775808,
    ),
    EVENTLOG: (
        "Security",
        "Microsoft-Windows-Eventlog",
        "{FC65DDD8-D6EF-4962-83D5-6E5CFE9CE148}",
        4620693217682128896,
    ),
    EVENTLOG_SYSTEM: (
        "System",
        "Microsoft-Windows-Eventlog",
        "{FC65DDD8-D6EF-4962-83D5-6E5CFE9CE148}",
        -9223372036854775808,
    ),
}

SYSTEM32 = "C:\\Windows\\System32\\"
POWERSHELL_EXE = SYSTEM32 + "WindowsPowerShell\\v1.0\\powershell.exe"


def name_of(path):
    """The last part of a Windows path."""
    return path.rsplit("\\", 1)[-1]


class Host:
    """A computer: its name, domain (NetBIOS), address, and who sits at it."""

    def __init__(self, name, domain, ip, user, os_name="Windows 11 Pro", kind="desktop"):
        self.name, self.domain, self.ip, self.user = name, domain, ip, user
        self.os_name, self.kind = os_name, kind

    @property
    def fqdn(self):
        return f"{self.name.lower()}.{self.domain.lower()}.example"

    @property
    def account(self):
        return f"{self.domain}\\{self.user}"


class Records:
    """Makes records; everything that varies comes from `rng`, so a seed gives the same bytes."""

    def __init__(self, rng=None):
        self.rng = rng or random.Random(1383)
        self.serial = 40_000

    def hex(self, digits):
        return "".join(self.rng.choices("0123456789abcdef", k=digits))

    def slug(self, length=22):
        return "".join(self.rng.choices(string.ascii_letters + string.digits, k=length))

    def guid(self):
        h = self.hex(32)
        return f"{{{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}}}"

    def number(self, digits=19):
        return "".join(self.rng.choices("123456789", k=digits))

    # ------------------------------------------------------------------ Windows channels

    def nxlog(self, host, channel, code, data, account=None, category=None):
        """An event as NXLog's im_msvistalog and to_json give it."""
        log, provider, guid, keywords = CHANNELS[channel]
        self.serial += self.rng.randrange(1, 9)
        record = {
            "EventTime": RFC3339,
            "Hostname": host.fqdn,
            "Keywords": keywords,
            "EventType": "AUDIT_SUCCESS" if channel == SECURITY else "INFO",
            "SeverityValue": 2,
            "Severity": "INFO",
            "EventID": code,
            "SourceName": provider,
            "ProviderGuid": guid,
            "Version": 5,
            "Task": code,
            "OpcodeValue": 0,
            "RecordNumber": self.serial,
            "ProcessID": self.rng.randrange(400, 5000, 4),
            "ThreadID": self.rng.randrange(400, 9000, 4),
            "Channel": log,
        }
        if account:
            domain, user = account.split("\\", 1)
            record |= {"Domain": domain, "AccountName": user, "AccountType": "User"}
        if category:
            record["Category"] = category
        return record | data | {
            "EventReceivedTime": RFC3339,
            "SourceModuleName": "eventlog",
            "SourceModuleType": "im_msvistalog",
        }

    def winlogbeat(self, host, channel, code, data, account=None, category=None):
        """The same event as Winlogbeat ships it."""
        log, provider, guid, _ = CHANNELS[channel]
        self.serial += self.rng.randrange(1, 9)
        winlog = {
            "api": "wineventlog",
            "channel": log,
            "computer_name": host.fqdn,
            "event_data": {key: str(value) for key, value in data.items()},
            "event_id": str(code),
            "opcode": "Info",
            "process": {
                "pid": self.rng.randrange(400, 5000, 4),
                "thread": {"id": self.rng.randrange(400, 9000, 4)},
            },
            "provider_guid": guid.lower(),
            "provider_name": provider,
            "record_id": str(self.serial),
        }
        if category:
            winlog["task"] = category
        if account:
            domain, user = account.split("\\", 1)
            winlog["user"] = {"domain": domain, "name": user, "type": "User"}
        return {
            "@timestamp": RFC3339,
            "agent": {"name": host.name, "type": "winlogbeat", "version": "8.17.0"},
            "ecs": {"version": "8.0.0"},
            "event": {"code": str(code), "kind": "event", "provider": provider, "created": RFC3339},
            "host": {"name": host.fqdn, "os": {"family": "windows", "platform": "windows"}},
            "log": {"level": "information"},
            "winlog": winlog,
        }

    def windows(self, host, channel, code, data, account=None, category=None, beats=False):
        make = self.winlogbeat if beats else self.nxlog
        return make(host, channel, code, data, account, category)

    def sysmon(self, host, code, data, category, account=None, **options):
        """A Sysmon event; `UtcTime` and `RuleName` are added."""
        data = {"RuleName": "-", "UtcTime": WINDOWS_UTC} | data
        return self.windows(host, SYSMON, code, data, "NT AUTHORITY\\SYSTEM", category, **options)

    def process(self, host, image, command, parent, parent_command=None, user=None, **options):
        """Sysmon 1, process creation."""
        original = options.pop("original", name_of(image))
        integrity = options.pop("integrity", "Medium")
        digest = hashlib.sha256(image.lower().encode()).hexdigest().upper()
        return self.sysmon(host, 1, {
            "ProcessGuid": self.guid(),
            "ProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "Image": image,
            "FileVersion": "10.0.22621.1",
            "Description": name_of(image).removesuffix(".exe"),
            "Product": "-",
            "Company": "-",
            "OriginalFileName": original,
            "CommandLine": command,
            "CurrentDirectory": "C:\\Windows\\system32\\",
            "User": user or host.account,
            "LogonGuid": self.guid(),
            "LogonId": "0x" + self.hex(6),
            "TerminalSessionId": "1",
            "IntegrityLevel": integrity,
            "Hashes": f"SHA256={digest}",
            "ParentProcessGuid": self.guid(),
            "ParentProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "ParentImage": parent,
            "ParentCommandLine": parent_command or parent,
            "ParentUser": user or host.account,
        }, "Process Create (rule: ProcessCreate)", **options)

    def process_4688(self, host, image, command, parent, **options):
        """Security 4688, process creation as Windows itself audits it."""
        return self.windows(host, SECURITY, 4688, {
            "SubjectUserSid": "S-1-5-21-1004336348-1177238915-682003330-1142",
            "SubjectUserName": host.user,
            "SubjectDomainName": host.domain,
            "SubjectLogonId": "0x" + self.hex(6),
            "NewProcessId": "0x" + self.hex(4),
            "NewProcessName": image,
            "TokenElevationType": "%%1938",
            "CommandLine": command,
            "TargetUserSid": "S-1-0-0",
            "TargetUserName": "-",
            "TargetDomainName": "-",
            "TargetLogonId": "0x0",
            "ParentProcessName": parent,
            "MandatoryLabel": "S-1-16-8192",
        }, category="Process Creation", **options)

    def network(self, host, image, ip, port, name="-", user=None, **options):
        """Sysmon 3, an outgoing connection."""
        return self.sysmon(host, 3, {
            "ProcessGuid": self.guid(),
            "ProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "Image": image,
            "User": user or host.account,
            "Protocol": "tcp",
            "Initiated": "true",
            "SourceIsIpv6": "false",
            "SourceIp": host.ip,
            "SourceHostname": host.fqdn,
            "SourcePort": str(self.rng.randrange(49152, 65535)),
            "DestinationIsIpv6": "false",
            "DestinationIp": ip,
            "DestinationHostname": name,
            "DestinationPort": str(port),
            "DestinationPortName": "https" if port == 443 else "-",
        }, "Network connection detected (rule: NetworkConnect)", **options)

    def dns(self, host, image, name, answer, **options):
        """Sysmon 22, a DNS query."""
        return self.sysmon(host, 22, {
            "ProcessGuid": self.guid(),
            "ProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "QueryName": name,
            "QueryStatus": "0",
            "QueryResults": f"::ffff:{answer};",
            "Image": image,
            "User": host.account,
        }, "Dns query (rule: DnsQuery)", **options)

    def registry(self, host, image, target, details, **options):
        """Sysmon 13, a registry value set."""
        return self.sysmon(host, 13, {
            "EventType": "SetValue",
            "ProcessGuid": self.guid(),
            "ProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "Image": image,
            "TargetObject": target,
            "Details": details,
            "User": host.account,
        }, "Registry value set (rule: RegistryEvent)", **options)

    def file(self, host, image, target, **options):
        """Sysmon 11, a file created."""
        return self.sysmon(host, 11, {
            "ProcessGuid": self.guid(),
            "ProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "Image": image,
            "TargetFilename": target,
            "CreationUtcTime": WINDOWS_UTC,
            "User": host.account,
        }, "File created (rule: FileCreate)", **options)

    def access(self, host, source, target, granted, trace, **options):
        """Sysmon 10, a process that opens another."""
        return self.sysmon(host, 10, {
            "SourceProcessGUID": self.guid(),
            "SourceProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "SourceThreadId": str(self.rng.randrange(1000, 16000, 4)),
            "SourceImage": source,
            "TargetProcessGUID": self.guid(),
            "TargetProcessId": "712",
            "TargetImage": target,
            "GrantedAccess": granted,
            "CallTrace": trace,
            "SourceUser": options.pop("user", host.account),
            "TargetUser": "NT AUTHORITY\\SYSTEM",
        }, "Process accessed (rule: ProcessAccess)", **options)

    def pipe(self, host, image, name, **options):
        """Sysmon 17, a named pipe created."""
        return self.sysmon(host, 17, {
            "EventType": "CreatePipe",
            "ProcessGuid": self.guid(),
            "ProcessId": str(self.rng.randrange(1000, 16000, 4)),
            "PipeName": name,
            "Image": image,
            "User": "NT AUTHORITY\\SYSTEM",
        }, "Pipe Created (rule: PipeEvent)", **options)

    def script(self, host, text, path="", **options):
        """PowerShell 4104, a script block."""
        return self.windows(host, POWERSHELL, 4104, {
            "MessageNumber": "1",
            "MessageTotal": "1",
            "ScriptBlockText": text,
            "ScriptBlockId": self.guid().strip("{}"),
            "Path": path,
        }, host.account, "Execute a Remote Command", **options)

    def service(self, host, name, path, account="LocalSystem", start="demand start", **options):
        """System 7045, a service installed."""
        return self.windows(host, SYSTEM, 7045, {
            "ServiceName": name,
            "ImagePath": path,
            "ServiceType": "user mode service",
            "StartType": start,
            "AccountName": account,
        }, **options)

    def logon(self, host, user, kind=3, ip="-", package="Kerberos", process="Kerberos",
              sid=None, **options):
        """Security 4624, a successful logon."""
        return self.windows(host, SECURITY, 4624, {
            "SubjectUserSid": options.pop("subject_sid", "S-1-0-0"),
            "SubjectUserName": options.pop("subject", "-"),
            "SubjectDomainName": "-",
            "SubjectLogonId": "0x0",
            "TargetUserSid": sid or "S-1-5-21-1004336348-1177238915-682003330-"
            + str(self.rng.randrange(1100, 2600)),
            "TargetUserName": user,
            "TargetDomainName": host.domain,
            "TargetLogonId": "0x" + self.hex(7),
            "LogonType": str(kind),
            "LogonProcessName": process,
            "AuthenticationPackageName": package,
            "WorkstationName": "-",
            "LogonGuid": self.guid(),
            "TransmittedServices": "-",
            "LmPackageName": "NTLM V2" if package == "NTLM" else "-",
            "KeyLength": "128" if package == "NTLM" else "0",
            "ProcessId": "0x0",
            "ProcessName": "-",
            "IpAddress": ip,
            "IpPort": str(self.rng.randrange(49152, 65535)) if ip != "-" else "-",
            "ImpersonationLevel": "%%1833",
            "ElevatedToken": "%%1842",
        }, category="Logon", **options)

    def security(self, host, code, data, category, **options):
        """Any other Security event."""
        return self.windows(host, SECURITY, code, data, category=category, **options)
