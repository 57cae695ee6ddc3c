import { UsageError } from '#src/errors.js';
import { constantsOf, type ParadigmName, paradigms } from '#src/paradigms/index.js';
import { assert, rejects, suite } from '../support/suite.js';

suite('constants of paradigms', (test) => {
  test('are those of the paper unless set', () => {
    assert.equal(constantsOf('label-smoothing', ''), { smoothing: 0.1 });
    assert.equal(constantsOf('label-smoothing', ' smoothing = 0.25 ,'), { smoothing: 0.25 });
    assert.equal(constantsOf('one-hot', ''), {});
  });

  test('lie in their own ranges, and say what they are', () => {
    for (const name of Object.keys(paradigms) as ParadigmName[]) {
      const settings = Object.entries(paradigms[name].constants).map(([constant, { value, about }]) => {
        assert.ok(about.length > 10, `${name} ${constant}`);
        return `${constant}=${value}`;
      });
      constantsOf(name, settings.join());
    }
  });

  for (const [name, settings, ...parts] of [
    ['label-smoothing', 'smoothness=0.2', "label-smoothing has no constant 'smoothness'", 'It has smoothing: write smoothing=0.1'],
    ['one-hot', 'smoothing=0.2', "one-hot has no constant 'smoothing'", 'leave --set out'],
    ['label-smoothing', 'constructor=1', "no constant 'constructor'"],
    ['label-smoothing', 'smoothing=much', "'smoothing=much' sets no constant", 'smoothing=NUMBER, a number from 0 to 1'],
    ['label-smoothing', 'smoothing=1.5', 'from 0 to 1'],
    ['label-smoothing', 'smoothing=', 'smoothing=NUMBER'],
    ['label-smoothing', 'smoothing', 'smoothing=NUMBER'],
    ['label-smoothing', 'smoothing=0.1=0.2', 'smoothing=NUMBER'],
    ['pll-mim', 'decoder=0.5', 'decoder=NUMBER, a whole number from 0 to 1'],
    ['pll-mim', 'heads=2.5', 'heads=NUMBER, a whole number from 1'],
  ] as [ParadigmName, string, ...string[]][])
    test(`${name} refuses ${settings}`, async () => {
      await rejects(() => constantsOf(name, settings), UsageError, '--set', ...parts);
    });
});
