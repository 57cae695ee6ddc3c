import { isNodeAtLeast, missingPackages, parseOsRelease, planAdapter, type System } from '#tools/system.mjs';
import { assert, suite } from '../support/suite.js';

const BOOKWORM =
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n';
const TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_CODENAME=trixie\nID=debian\n';
const UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n';

function linux(osRelease: string, { root = true, aptSources = '' } = {}): System {
  return { platform: 'linux', osRelease: parseOsRelease(osRelease), root, aptSources };
}

suite('system', (test) => {
  test('os-release: quotes, plain values, and lines that are none', () => {
    const fields = parseOsRelease(`# comment\n${BOOKWORM}EMPTY=""\nSINGLE='a "b" c'\nbroken line\n`);
    assert.equal(fields, {
      PRETTY_NAME: 'Debian GNU/Linux 12 (bookworm)',
      NAME: 'Debian GNU/Linux',
      VERSION_ID: '12',
      VERSION_CODENAME: 'bookworm',
      ID: 'debian',
      EMPTY: '',
      SINGLE: 'a "b" c',
    });
  });

  test('Node versions compare by number', () => {
    assert.ok(isNodeAtLeast('v20.0.0', 20));
    assert.ok(isNodeAtLeast('v100.1.2', 20));
    assert.not.ok(isNodeAtLeast('v19.9.9', 20));
    assert.not.ok(isNodeAtLeast('v9.11.0', 20));
    assert.not.ok(isNodeAtLeast('nonsense', 20));
  });

  test('packages: absent, other version, other content; those of other systems do not count', () => {
    const lock = {
      packages: {
        '': { version: '1.0.0' },
        'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
        'node_modules/a/node_modules/@x/b': { version: '2.0.0', integrity: 'sha512-b' },
        'node_modules/only-elsewhere': { version: '3.0.0', integrity: 'sha512-c', optional: true },
      },
    };
    assert.equal(missingPackages(lock, undefined), ['a', '@x/b']);
    assert.equal(missingPackages(lock, { packages: { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } } }), ['@x/b']);
    assert.equal(missingPackages(lock, lock), []);
    const changed = structuredClone(lock);
    changed.packages['node_modules/a'].integrity = 'sha512-other';
    changed.packages['node_modules/only-elsewhere'].version = '2.9.0';
    assert.equal(missingPackages(lock, changed), ['a', 'only-elsewhere']);
  });

  test('Debian 12: Mesa from the backports, whose source is added once', () => {
    const fresh = planAdapter(
      linux(BOOKWORM, { aptSources: '# deb http://x bookworm-backports main\nSuites: bookworm bookworm-updates\n' }),
    );
    assert.equal(fresh.commands, [
      ['apt-get', 'update'],
      ['apt-get', 'install', '-y', '--no-install-recommends', 'mesa-vulkan-drivers/bookworm-backports', 'libvulkan1'],
    ]);
    assert.is(fresh.source?.path, '/etc/apt/sources.list.d/bookworm-backports.sources');
    assert.match(fresh.source?.text ?? '', /^Types: deb\nURIs: http:\/\/deb\.debian\.org\/debian\nSuites: bookworm-backports\n/);
    for (const aptSources of ['Suites: bookworm bookworm-backports\n', 'deb http://deb.debian.org/debian bookworm-backports main\n']) {
      const plan = planAdapter(linux(BOOKWORM, { aptSources }));
      assert.is(plan.source, undefined);
      assert.equal(plan.commands, fresh.commands);
    }
  });

  test('later Debian and Ubuntu: their own Mesa', () => {
    for (const system of [TRIXIE, UBUNTU, 'ID=linuxmint\nID_LIKE="ubuntu debian"\n']) {
      const plan = planAdapter(linux(system));
      assert.is(plan.source, undefined);
      assert.equal(plan.commands?.at(-1)?.slice(-2), ['mesa-vulkan-drivers', 'libvulkan1']);
    }
  });

  test('without root nothing runs: the sentence holds every command', () => {
    const bookworm = planAdapter(linux(BOOKWORM, { root: false }));
    assert.is(bookworm.commands, undefined);
    assert.match(bookworm.advice ?? '', 'sudo tee /etc/apt/sources.list.d/bookworm-backports.sources');
    assert.match(
      bookworm.advice ?? '',
      'sudo apt-get install -y --no-install-recommends mesa-vulkan-drivers/bookworm-backports libvulkan1',
    );
    const ubuntu = planAdapter(linux(UBUNTU, { root: false }));
    assert.match(ubuntu.advice ?? '', 'sudo apt-get update && sudo apt-get install');
    assert.not.match(ubuntu.advice ?? '', 'tee');
  });

  test('every other system gets one sentence that fits it', () => {
    const expected: [System, string][] = [
      [linux('ID=fedora\n'), 'dnf install mesa-vulkan-drivers'],
      [linux('ID=rocky\nID_LIKE="rhel centos fedora"\n'), 'dnf install'],
      [linux('ID=arch\n'), 'pacman -S vulkan-swrast'],
      [linux('ID=opensuse-tumbleweed\nID_LIKE="opensuse suse"\n'), 'zypper install'],
      [linux('ID=alpine\n'), 'node:22-bookworm'],
      [linux('ID=nixos\nPRETTY_NAME="NixOS 25.05"\n'), 'NixOS 25.05'],
      [linux(''), 'this Linux'],
      [{ ...linux(''), platform: 'darwin' }, 'Metal'],
      [{ ...linux(''), platform: 'win32' }, 'Direct3D 12'],
      [{ ...linux(''), platform: 'freebsd' }, 'freebsd'],
    ];
    for (const [system, part] of expected) {
      const plan = planAdapter(system);
      assert.is(plan.commands, undefined, part);
      assert.match(plan.advice ?? '', part);
      assert.not.match(plan.advice ?? '', '\n');
    }
  });
});
