// What the set-up knows about operating systems and about npm's lock files: pure functions, so that every branch can be tested on any machine.

const SOFTWARE_VULKAN = ['mesa-vulkan-drivers', 'libvulkan1'];

/** The fields of /etc/os-release, quotes removed. @param {string} text @returns {Record<string, string>} */
export function parseOsRelease(text) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(["']?)(.*)\2\s*$/.exec(line);
    if (match) fields[match[1]] = match[3];
  }
  return fields;
}

/** Whether a Node version such as 'v20.11.0' is at least `major`. @param {string} version @param {number} major */
export function isNodeAtLeast(version, major) {
  return Number(/^v?(\d+)\./.exec(version)?.[1]) >= major;
}

/**
 * The packages that package-lock.json asks for and npm's own record of the installed ones (node_modules/.package-lock.json, written last,
 * so an interrupted installation leaves none) does not have in that version. Packages for other systems are optional and may be absent.
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, peer?: boolean }} LockEntry
 * @typedef {{ packages?: Record<string, LockEntry> }} Lock
 * @param {Lock} wanted @param {Lock | undefined} installed @returns {string[]}
 */
export function missingPackages(wanted, installed) {
  const present = installed?.packages ?? {};
  return Object.entries(wanted.packages ?? {})
    .filter(([path, entry]) => {
      if (path === '') return false;
      const found = present[path];
      return found ? found.version !== entry.version || found.integrity !== entry.integrity : !entry.optional;
    })
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
}

/**
 * @typedef {object} System
 * @property {NodeJS.Platform} platform
 * @property {Record<string, string>} osRelease empty where there is no such file
 * @property {boolean} root whether we may install packages
 * @property {string} aptSources everything that apt's source files say
 *
 * @typedef {object} Plan how to get an adapter: either commands to run, or advice to print
 * @property {{ path: string, text: string }} [source] an apt source to add first
 * @property {string[][]} [commands]
 * @property {string} [advice]
 */

/**
 * How to get a WebGPU adapter on a system where Dawn found none. Debian 12's own Mesa (22.3) is refused by Dawn, hence the backports.
 * @param {System} system @returns {Plan}
 */
export function planAdapter({ platform, osRelease, root, aptSources }) {
  if (platform === 'darwin')
    return {
      advice: 'Dawn found no Metal adapter: run on macOS 11 or newer with a GPU that Metal supports (a virtual machine may have none).',
    };
  if (platform === 'win32')
    return {
      advice:
        'Dawn found no Direct3D 12 adapter: install the graphics driver of the GPU’s maker, or Windows 10 or newer for its software adapter.',
    };
  if (platform !== 'linux') return { advice: `The npm package "webgpu" has no build for ${platform}: use Linux, macOS or Windows.` };

  const family = [osRelease.ID, ...(osRelease.ID_LIKE ?? '').split(' ')];
  const name = osRelease.PRETTY_NAME ?? osRelease.NAME ?? 'this Linux';
  if (family.includes('debian') || family.includes('ubuntu')) {
    const backports = osRelease.ID === 'debian' && osRelease.VERSION_CODENAME === 'bookworm';
    const [driver, loader] = SOFTWARE_VULKAN;
    const packages = [backports ? `${driver}/bookworm-backports` : driver, loader];
    const source = backports && !/^[^#\n]*\bbookworm-backports\b/m.test(aptSources) ? backportsSource() : undefined;
    const commands = [
      ['apt-get', 'update'],
      ['apt-get', 'install', '-y', '--no-install-recommends', ...packages],
    ];
    if (root) return { ...(source && { source }), commands };
    const steps = commands.map((command) => `sudo ${command.join(' ')}`);
    if (source) steps.unshift(`printf '${source.text.replaceAll('\n', '\\n')}' | sudo tee ${source.path}`);
    return { advice: `No GPU driver that Dawn can use: install your GPU's Vulkan driver, or Mesa's software one: ${steps.join(' && ')}` };
  }
  /** @param {string} command */
  const vulkan = (command) => ({
    advice: `No GPU driver that Dawn can use on ${name}: install your GPU's Vulkan driver, or Mesa's software one: ${command}`,
  });
  if (family.includes('fedora') || family.includes('rhel')) return vulkan('sudo dnf install mesa-vulkan-drivers vulkan-loader');
  if (family.includes('arch')) return vulkan('sudo pacman -S vulkan-swrast vulkan-icd-loader');
  if (family.some((id) => id?.includes('suse'))) return vulkan('sudo zypper install libvulkan_lvp libvulkan1');
  if (family.includes('alpine'))
    return { advice: 'The npm package "webgpu" has no build for Alpine’s C library: use a Debian-based image such as node:22-bookworm.' };
  return {
    advice: `No GPU driver that Dawn can use on ${name}: install the Vulkan loader and your GPU's Vulkan driver, or Mesa's software driver (lavapipe, 23.2 or newer).`,
  };
}

/** @returns {{ path: string, text: string }} */
function backportsSource() {
  return {
    path: '/etc/apt/sources.list.d/bookworm-backports.sources',
    text: [
      'Types: deb',
      'URIs: http://deb.debian.org/debian',
      'Suites: bookworm-backports',
      'Components: main',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      '',
    ].join('\n'),
  };
}
